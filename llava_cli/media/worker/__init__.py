# SPDX-License-Identifier: Apache-2.0
"""Decoding in a process of its own: who asks (parent), who decodes (child), what they exchange (wire)."""
