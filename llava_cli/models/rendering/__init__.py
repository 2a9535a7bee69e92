# SPDX-License-Identifier: Apache-2.0
"""Chat templates are programs of whoever made a checkpoint: they run in a process of their own."""
