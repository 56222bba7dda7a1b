// SPDX-License-Identifier: Apache-2.0

//! Signed endorsements: the station signs with keys and certificates that Python's libraries have made, and they verify
//! what it has signed. Then a key in `SoftHSM` signs, through PKCS#11.

use anyhow::Result;

use super::{NotHere, Project};

const PARTS: &str = "3";

pub fn run(project: &Project) -> Result<()> {
    let python = project.python("verifier-venv", "cbor2, cryptography, pycose")?;
    let verifier = project.verifier("signed_corim.py");
    let station = project.program("station")?;
    let line = tempfile::tempdir()?;
    duct::cmd!(&python, &verifier, "make", line.path()).run()?;
    duct::cmd!(&station, "provision", "--simulate", PARTS)
        .dir(line.path())
        .stdout_null()
        .stderr_capture()
        .run()?;
    let mut files = Vec::new();
    for profile in ["psa-iot-1", "psa-2025-text", "psa-2025"] {
        let export = ["export", "--profile", profile, "--output", profile];
        let sign = ["--sign-key", "key.pem", "--cert-chain", "chain.pem"];
        let signer = ["--signer-name", "Example", "--signer-uri", "https://example.com"];
        let arguments = [&export[..], &sign, &signer].concat();
        duct::cmd(&station, arguments).dir(line.path()).stdout_null().run()?;
        files.push(line.path().join(profile).join("endorsements.cose"));
    }
    let check = [verifier, "check".into(), line.path().to_owned(), PARTS.into()];
    duct::cmd(&python, check.into_iter().chain(files)).run()?;

    // The steps of the host are without this feature.
    project
        .cargo("clippy --quiet --locked -p station --features pkcs11 --all-targets -- -D warnings")
        .run()?;
    if which::which("softhsm2-util").is_err() {
        return Err(NotHere("SoftHSM is missing; what needs no HSM has passed".into()).into());
    }
    let tests =
        "test --quiet --locked -p station --features pkcs11 --test export_hsm -- --include-ignored";
    project.cargo(tests).run()?;
    Ok(())
}
