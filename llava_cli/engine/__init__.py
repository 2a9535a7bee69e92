# SPDX-License-Identifier: Apache-2.0
"""A loaded checkpoint that answers."""
