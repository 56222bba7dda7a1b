// SPDX-License-Identifier: Apache-2.0

//! The command `corpus`.

use std::path::Path;

use clap::Parser;

/// Makes the corpus of the fuzz targets anew.
#[derive(Parser)]
#[command(name = "corpus", version)]
struct Cli {}

fn main() -> std::io::Result<()> {
    let Cli {} = Cli::parse();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    fuzz::corpus::write(&folder)?;
    println!("{}: made anew", folder.display());
    Ok(())
}
