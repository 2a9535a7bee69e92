# SPDX-License-Identifier: Apache-2.0
"""A server that answers in the place of a checkpoint on this machine."""
