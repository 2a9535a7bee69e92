# SPDX-License-Identifier: Apache-2.0
"""Ask questions about videos and images with LLaVA-family models on your own machine."""

__version__ = "0.1.0"
