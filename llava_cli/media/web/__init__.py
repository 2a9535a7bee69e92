# SPDX-License-Identifier: Apache-2.0
"""Files on the web: which addresses may be read, how they are asked, which parts are fetched; and those on the hub."""
