# SPDX-License-Identifier: Apache-2.0

# sphinx-build -W -n -b html docs build-docs

project = "TF-M provisioning image in Rust"
copyright = "its contributors, Apache-2.0"
nitpicky = True
