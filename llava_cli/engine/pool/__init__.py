# SPDX-License-Identifier: Apache-2.0
"""Several engines behind one seam: on the GPUs of one machine, or on the nodes of a cluster."""
