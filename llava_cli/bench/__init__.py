# SPDX-License-Identifier: Apache-2.0
"""Measuring: this program beside others on this machine, and both beside what the machine can do."""
