# SPDX-License-Identifier: Apache-2.0
"""The commands. Nothing here imports torch, transformers, av, cv2, numpy or PIL before a command runs."""
