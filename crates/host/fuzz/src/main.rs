// SPDX-License-Identifier: Apache-2.0

//! Makes the corpus anew.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    fuzz::corpus::write(&folder)?;
    println!("{}: made anew", folder.display());
    Ok(())
}
