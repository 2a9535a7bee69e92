# SPDX-License-Identifier: Apache-2.0
"""How the demo checkpoint was trained: in the repository only, the installed package goes without."""
