# SPDX-License-Identifier: Apache-2.0
"""Files on the web: which addresses may be read, how they are asked, and which parts are fetched."""
