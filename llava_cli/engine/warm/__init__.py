# SPDX-License-Identifier: Apache-2.0
"""A worker: a process that keeps a loaded checkpoint between commands."""
