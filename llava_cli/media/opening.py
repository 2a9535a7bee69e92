# SPDX-License-Identifier: Apache-2.0
"""Temporary."""

from llava_cli.media.source import open_source as open_source
