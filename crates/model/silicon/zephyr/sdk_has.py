# SPDX-License-Identifier: Apache-2.0

"""For Kconfig: prints y if the file FILE contains the text TEXT, else n."""

import pathlib
import sys

file, text = sys.argv[1:]
file = pathlib.Path(file)
print("y" if file.is_file() and text in file.read_text(encoding="utf-8", errors="replace") else "n")
