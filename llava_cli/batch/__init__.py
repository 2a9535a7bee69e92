# SPDX-License-Identifier: Apache-2.0
"""Many questions about many files: lists, a pool of decoders, batches, and a ledger that survives a crash."""
