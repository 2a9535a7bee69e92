# SPDX-License-Identifier: Apache-2.0
"""`python -m llava_cli` is `llava`."""

from llava_cli.cli.app import main

main()
