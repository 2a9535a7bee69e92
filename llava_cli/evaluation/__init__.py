# SPDX-License-Identifier: Apache-2.0
"""Multiple-choice tasks: how they are read and asked, which answers are right, and what that says of a checkpoint."""
