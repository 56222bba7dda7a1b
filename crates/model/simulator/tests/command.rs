// SPDX-License-Identifier: Apache-2.0

//! `cargo sim` as a person uses it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Stands for a line with a record, which `tests/record.rs` of the procedure reads.
const RECORD: &str = "Provisioning record: (603 characters)";

const LINES: [&str; 6] = [
    "Successfully verified PSA lifecycle state ASSEMBLY!",
    "Successfully switched to PSA lifecycle state PROVISIONING!",
    "Generating random HUK keys (including MKEK)",
    "Writing the identity key to KMU",
    RECORD,
    "Success!",
];

fn sim(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_simulator")).args(arguments).output().unwrap()
}

#[track_caller]
fn assert_output(output: &Output, code: i32, stdout: &[&str], stderr: &str) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    // A run of a part says first that it is a modelled one.
    let is_run = stdout.first().is_some_and(|line| !line.is_empty());
    if is_run {
        let first = out.lines().next().unwrap_or_default();
        assert!(first.starts_with("modelled nrf"), "{out}");
        assert!(first.ends_with(": nothing that is written here is secret"), "{out}");
    }
    let lines = out.lines().skip(usize::from(is_run)).map(|line| {
        match line.strip_prefix("Provisioning record: ") {
            Some(record) if record.len() == 603 => RECORD,
            _ => line,
        }
    });
    assert_eq!(lines.collect::<Vec<_>>(), stdout);
    assert!(err.contains(stderr), "{err}");
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

/// The first argument of the alias is read from where it stands.
#[test]
fn it_calls_itself_as_it_was_called_and_has_a_version() {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../.cargo/config.toml");
    let config = fs::read_to_string(config).unwrap();
    let alias = config
        .lines()
        .find_map(|line| {
            line.strip_prefix("sim = \"run --package simulator -- ")?.strip_suffix('"')
        })
        .unwrap();
    let printed = |arguments: &[&str]| {
        let output = sim(arguments);
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    assert!(printed(&["dump", "--help"]).contains("Usage: simulator dump"));
    assert!(printed(&[alias, "dump", "--help"]).contains("Usage: cargo sim dump"));
    assert!(printed(&["dump"]).contains("Usage: simulator dump"));
    assert!(printed(&[alias, "dump"]).contains("Usage: cargo sim dump"));
    let version = concat!("simulator ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!([printed(&["--version"]), printed(&[alias, "--version"])], [version; 2]);
}

#[test]
fn prints_the_five_lines_and_the_record() {
    for soc in ["nrf5340", "nrf9160"] {
        for source in ["generated", "driver"] {
            let output = sim(&["--soc", soc, "--identity-key", source, "--seed", "1"]);
            assert_output(&output, 0, &LINES, "");
            assert!(output.stderr.is_empty());
        }
    }
}

#[test]
fn the_record_can_be_given_a_nonce_or_left_out() {
    let nonce = "c0".repeat(32);
    let output = sim(&["--nonce", &nonce]);
    assert_output(&output, 0, &LINES, "");
    // 0xC0 three times is "wMDA".
    assert!(String::from_utf8(output.stdout).unwrap().contains(&"wMDA".repeat(9)));
    let mut without = LINES.to_vec();
    without.retain(|line| *line != RECORD);
    assert_output(&sim(&["--no-record"]), 0, &without, "");
}

#[test]
fn warns_of_the_dummy_key() {
    let output = sim(&["--identity-key", "dummy"]);
    let mut lines = LINES.to_vec();
    lines.insert(3, "WARNING: the identity key is the test-only dummy key, do not ship this part");
    assert_output(&output, 0, &lines, "not for production");
}

#[test]
fn a_device_file_keeps_the_part() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part.bin");
    assert_output(&sim(&["--device", path(&file), "--seed", "1"]), 0, &LINES, "");
    let image = fs::read(&file).unwrap();
    assert_eq!(image.len(), 4096);

    let found = "Found PSA lifecycle state PROVISIONING, looking at what is there";
    let unproven =
        "Not proven: the values of HUK keys from an earlier run. Proven: they work and differ";
    let done = "Failure: already provisioned, UEID 01bd4c991a4573fb94a881e9368d554a754dee92070c9f58456\
                34f08ca8be7d949. Nothing was written to the part. It is good and checked. [29]";
    assert_output(
        &sim(&["--device", path(&file)]),
        1,
        &[found, unproven, RECORD, done],
        "kernel panic",
    );
    assert_eq!(fs::read(&file).unwrap(), image, "the part was written to");
    let refused = "Failure: the PSA lifecycle state is PROVISIONING, not ASSEMBLY. Nothing \
                   was written to the part. It was provisioned before, or a run was cut off. [2]";
    let output = sim(&["--device", path(&file), "--no-resume"]);
    assert_output(&output, 1, &[refused], "kernel panic");
    assert_eq!(fs::read(&file).unwrap(), image, "the part was written to");

    assert_output(&sim(&["erase", "--device", path(&file)]), 0, &[], "erased");
    assert_eq!(fs::read(&file).unwrap(), [0xFF; 4096]);
    assert_output(&sim(&["--device", path(&file), "--seed", "1"]), 0, &LINES, "");
    assert_eq!(fs::read(&file).unwrap(), image, "the same seed gives the same part");
}

#[test]
fn seeds_decide_the_keys() {
    let folder = tempfile::tempdir().unwrap();
    let image = |name: &str, seed: &[&str]| {
        let file = folder.path().join(name);
        assert_output(&sim(&[&["--device", path(&file)], seed].concat()), 0, &LINES, "");
        fs::read(&file).unwrap()
    };
    assert_eq!(image("a", &["--seed", "7"]), image("b", &["--seed", "7"]));
    assert_ne!(image("c", &["--seed", "8"]), image("d", &["--seed", "7"]));
    assert_ne!(image("e", &[]), image("f", &[]));
}

#[test]
fn a_run_without_a_seed_can_be_repeated() {
    for soc in ["nrf5340", "nrf9160"] {
        let first = sim(&["--soc", soc]);
        let out = String::from_utf8(first.stdout.clone()).unwrap();
        let seed = out.split([' ', ':']).nth(3).unwrap();
        assert!(out.starts_with(&format!("modelled {soc}, seed {seed}: nothing")), "{out}");
        let again = sim(&["--soc", soc, "--seed", seed]);
        // The record has the keys, the nonce and the signature in it.
        assert_eq!(first.stdout, again.stdout);
        assert!(again.stderr.is_empty());
    }
}

#[test]
fn the_implementation_id_reaches_otp() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part.bin");
    let id = "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F";
    let output = sim(&["--device", path(&file), "--soc", "nrf9160", "--implementation-id", id]);
    assert_output(&output, 0, &LINES, "");
    let image = fs::read(&file).unwrap();
    assert_eq!(image[0x110..0x130], (0..32).collect::<Vec<u8>>());

    for (bad, complaint) in [
        (&id[1..], "64 hexadecimal digits"),
        (&id.replace('0', "x")[..], "hexadecimal digits only"),
    ] {
        let other = folder.path().join("other.bin");
        let output = sim(&["--device", path(&other), "--implementation-id", bad]);
        assert_output(&output, 2, &[], complaint);
        assert!(!other.exists(), "a wrong command leaves nothing behind");
    }
}

#[test]
fn a_file_of_another_size_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letter.txt");
    for content in [&b"Dear all"[..], &[0; 4095], &[0xFF; 4097], b""] {
        fs::write(&file, content).unwrap();
        for arguments in [
            &["--device", path(&file)][..],
            &["dump", "--device", path(&file)],
            &["erase", "--device", path(&file)],
        ] {
            assert_output(&sim(arguments), 2, &[], "letter.txt");
            assert_eq!(fs::read(&file).unwrap(), content);
        }
    }
    let missing = folder.path().join("missing.bin");
    for command in ["dump", "erase"] {
        assert_output(&sim(&[command, "--device", path(&missing)]), 2, &[], "missing.bin");
        assert!(!missing.exists());
    }
}

#[test]
fn an_nrf54l15_has_a_seed_in_a_file_that_tells_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part.bin");
    let driver = ["--soc", "nrf54l15", "--device", path(&file), "--identity-key", "driver"];
    assert_output(&sim(&driver), 2, &[], "derives its identity key");
    assert!(!file.exists(), "a wrong command leaves nothing behind");

    let output = sim(&["--soc", "nrf54l15", "--seed", "1", "--device", path(&file)]);
    assert_eq!(output.status.code(), Some(0));
    let console = String::from_utf8(output.stdout).unwrap();
    assert!(!console.contains("Writing the identity key"), "nothing of it is written");
    assert!(console.ends_with("Success!\n"), "{console}");
    assert_eq!(fs::metadata(&file).unwrap().len(), 4096 + 7 * 250 * 4);

    let again = String::from_utf8(sim(&["--device", path(&file)]).stdout).unwrap();
    assert!(again.starts_with("modelled nrf54l15, ") && again.contains("already provisioned"));
    let dump = String::from_utf8(sim(&["dump", "--device", path(&file)]).stdout).unwrap();
    for line in ["Part: nrf54l15", "PSA lifecycle state: PROVISIONING", "   185  FFFFFFFF  seed"] {
        assert!(dump.contains(line), "{dump}");
    }
    assert!(!dump.contains("note"), "it is taken back: {dump}");
    let other = ["--soc", "nrf5340", "--device", path(&file)];
    assert_output(&sim(&other), 2, &[], "a file of this size is not an nrf5340's");
    assert_output(&sim(&["erase", "--device", path(&file)]), 0, &[], "erased");
    assert!(fs::read(&file).unwrap().iter().all(|byte| *byte == 0xFF));
}

#[test]
fn one_run_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part.bin");
    fs::write(&file, [0xFF; 4096]).unwrap();
    let mut held = simulator::device_file::DeviceFile::open(&file).unwrap();
    assert_output(&sim(&["--device", path(&file)]), 2, &[], "another run is using it");
    assert_eq!(held.read().unwrap(), silicon::Memory::ERASED);
    drop(held);
    assert_output(&sim(&["--device", path(&file)]), 0, &LINES, "");
}

#[test]
fn corrupt_otp_is_reported_with_the_drivers_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part.bin");
    let mut image = [0xFF; 4096];
    image[0x100] = 0x7F; // one bit of the halfword "provisioning"
    fs::write(&file, image).unwrap();
    let failure = "Failure: cannot read the PSA lifecycle state (driver error -114). Nothing was \
                   written to the part. Set it aside, or erase it with ERASEALL and start again. [1]";
    assert_output(&sim(&["--device", path(&file)]), 1, &[failure], "kernel panic");
    assert_eq!(fs::read(&file).unwrap(), image);
}

#[test]
fn dump_shows_what_the_hardware_shows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part.bin");
    sim(&["--device", path(&file), "--seed", "1"]);
    let output = sim(&["dump", "--device", path(&file)]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("PSA lifecycle state: PROVISIONING"), "{text}");
    assert_eq!(text.matches("AAAAAAAA  implementation ID").count(), 2, "{text}");
    assert_eq!(text.matches("(not readable)").count(), 4, "{text}");
    assert_eq!(text.matches("identity key").count(), 2, "{text}");
    // No word of a HUK, which the file has in the clear, may be shown.
    let image = fs::read(&file).unwrap();
    for bytes in image[0x800 + 2 * 16..0x800 + 6 * 16].as_chunks().0 {
        let word = format!("{:08X}", u32::from_le_bytes(*bytes));
        assert!(!text.contains(&word), "{word} in {text}");
    }
}

/// A provisioned part in a file.
fn provisioned(file: &Path, soc: &str) {
    sim(&["--device", path(file), "--soc", soc, "--seed", "1"]);
}

#[test]
fn a_device_file_shows_which_part_it_is_of() {
    let folder = tempfile::tempdir().unwrap();
    for (soc, mkek) in [("nrf5340", "MKEK, high half"), ("nrf9160", "  MKEK\n")] {
        let file = folder.path().join(soc);
        provisioned(&file, soc);
        let output = sim(&["dump", "--device", path(&file)]);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        let part = format!("Part: {soc}\nPSA lifecycle state: PROVISIONING\n");
        assert!(text.starts_with(&part) && text.contains(mkek), "{text}");
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(
            err.contains(&format!("taken for an {soc}'s, by the lifecycle state in OTP")),
            "{err}"
        );
        // A run takes it for the same part.
        let output = sim(&["--device", path(&file), "--seed", "2"]);
        assert!(String::from_utf8(output.stdout).unwrap().contains("already provisioned"));
    }
}

#[test]
fn an_option_that_contradicts_the_device_file_gives_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    for (soc, other) in [("nrf5340", "nrf9160"), ("nrf9160", "nrf5340")] {
        let file = folder.path().join(soc);
        provisioned(&file, soc);
        let output = sim(&["dump", "--device", path(&file), "--soc", other]);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().starts_with(&format!("Part: {other}\n")));
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(
            err.contains(&format!("warning: {}: taken for an {other}'s", file.display())),
            "{err}"
        );
        assert!(err.contains(&format!("is an {soc}'s")), "{err}");
    }
}

#[test]
fn a_device_file_that_may_be_of_either_part_needs_an_option() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("either");
    let mut image = [0xFF; 4096];
    // Erased, and with a register alone.
    for register in [0xFF, 0x5A] {
        image[0] = register;
        fs::write(&file, image).unwrap();
        assert_output(
            &sim(&["dump", "--device", path(&file)]),
            2,
            &[],
            "say so with --soc nrf5340 or",
        );
        for soc in ["nrf5340", "nrf9160"] {
            let output = sim(&["dump", "--device", path(&file), "--soc", soc]);
            assert_eq!(output.status.code(), Some(0));
            assert!(output.stderr.is_empty());
        }
    }
    // Nothing is written to a part that might be another.
    assert_output(&sim(&["--device", path(&file)]), 2, &[], "say so with --soc nrf5340 or");
    assert_eq!(fs::read(&file).unwrap(), image);
}

#[test]
fn dump_names_the_lifecycle_states_that_are_entered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part.bin");
    for (words, state, names) in [
        ([0xFFFF_0000, !0_u32], "PROVISIONING", &["FFFF0000  lifecycle: PROVISIONING\n"][..]),
        ([0, !0], "SECURED", &["00000000  lifecycle: PROVISIONING, SECURED\n"]),
        (
            [0, 0x0000_FFFF],
            "DECOMMISSIONED",
            &["  lifecycle: PROVISIONING, SECURED\n", "0000FFFF  lifecycle: DECOMMISSIONED\n"],
        ),
        (
            [0x7FFF_0000, 0xFFFF_0000],
            "none that a part can have",
            &["lifecycle: PROVISIONING, SECURED torn\n", "FFFF0000  lifecycle: padding\n"],
        ),
    ] {
        for (soc, otp) in [("nrf5340", 0x100), ("nrf9160", 0x108)] {
            let mut image = [0xFF; 4096];
            image[otp..otp + 4].copy_from_slice(&words[0].to_le_bytes());
            image[otp + 4..otp + 8].copy_from_slice(&words[1].to_le_bytes());
            fs::write(&file, image).unwrap();
            let output = sim(&["dump", "--device", path(&file), "--soc", soc]);
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.contains(&format!("PSA lifecycle state: {state}\n")), "{text}");
            assert_eq!(text.matches("lifecycle: ").count(), names.len(), "{text}");
            assert!(names.iter().all(|name| text.contains(name)), "{text}");
        }
    }
}

#[test]
fn a_replay_plays_the_case() {
    let output = sim(&["replay", "nrf9160-generated-1-3a-2b"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in
        ["run 1, 3 writes, power lost at write 3a:\n", "run 2, 2 writes, power lost at write 2b:\n"]
    {
        assert!(text.contains(line), "{text}");
    }
    assert!(text.contains("\nverdict: provisioned\n"), "{text}");
}

#[test]
fn a_replay_of_a_cut_that_cannot_be_is_refused() {
    for (case, run) in [("nrf9160-generated-1-999b", 1), ("nrf9160-generated-1-3a-999t1", 2)] {
        let output = sim(&["replay", case]);
        assert_output(&output, 2, &[], "so it cannot lose power at write 999");
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(err.contains(&format!("{case}: run {run} makes ")), "{err}");
    }
}

/// Each a test: a wrong command line, and what standard error says about it.
macro_rules! refused {
    ($($name:ident: $arguments:expr => $complaint:literal,)*) => {$(
        #[test]
        fn $name() {
            assert_output(&sim($arguments), 2, &[], $complaint);
        }
    )*};
}

refused! {
    an_unknown_part_is_refused: &["--soc", "nrf52840"] => "the parts are nrf5340, nrf9160 and nrf54l15",
    an_unknown_source_is_refused:
        &["--identity-key", "mine"] => "the sources are generated, driver and dummy",
    a_seed_that_is_no_number_is_refused: &["--seed", "many"] => "--seed",
    an_unknown_option_is_refused: &["--sed", "1"] => "--sed",
    a_short_nonce_is_refused: &["--nonce", "c0"] => "a nonce has 64 hexadecimal digits",
    a_nonce_without_a_record_is_refused:
        &["--no-record", "--nonce", &"c0".repeat(32)] => "cannot be used with",
    a_dump_without_a_file_is_refused: &["dump"] => "--device",
}

#[test]
fn the_help_names_every_option() {
    let help = sim(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    for option in
        ["--soc", "--device", "--seed", "--identity-key", "--implementation-id", "dump", "erase"]
    {
        assert!(text.contains(option), "{option} is not in {text}");
    }
}
