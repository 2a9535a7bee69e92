# SPDX-License-Identifier: Apache-2.0
"""Families of checkpoints: how each one sees media and reads a prompt."""
