-- SPDX-License-Identifier: Apache-2.0

-- The ledger. An audit compares these statements with those in the file, to the letter: a
-- change in one of them, or in a comment inside it, makes a new version of the format.

-- The chain. Each link says one fact, which stands in the table of its kind.
CREATE TABLE links (
    number         INTEGER PRIMARY KEY AUTOINCREMENT CHECK (number >= 1),
    time           INTEGER NOT NULL, -- milliseconds since 1970, UTC
    clock_accepted INTEGER NOT NULL CHECK (clock_accepted IN (0, 1)),
    station        TEXT,
    operator       TEXT,
    version        TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('attempt', 'outcome', 'program', 'withdrawal', 'export')),
    previous       BLOB NOT NULL CHECK (length(previous) = 32),
    hash           BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

-- A run has begun.
CREATE TABLE attempts (
    link          INTEGER PRIMARY KEY REFERENCES links,
    port          TEXT NOT NULL,
    batch         TEXT,
    serial_number TEXT
) STRICT;
CREATE INDEX attempts_serial_number ON attempts (serial_number) WHERE serial_number IS NOT NULL;

-- How it ended. An attempt without this has not ended while the station ran.
CREATE TABLE outcomes (
    link          INTEGER PRIMARY KEY REFERENCES links,
    attempt       INTEGER NOT NULL UNIQUE REFERENCES attempts,
    result        TEXT NOT NULL CHECK (result IN ('good', 'known', 'failed')),
    error         TEXT,
    failure       INTEGER CHECK (failure BETWEEN 1 AND 255),
    text          TEXT,
    seen          INTEGER REFERENCES entries, -- the entry that the part, or something of it, has already
    serial_number TEXT,
    device_id     BLOB CHECK (length(device_id) = 8),
    ueid          BLOB CHECK (length(ueid) = 33),
    image         BLOB CHECK (length(image) = 32),
    steps         TEXT NOT NULL CHECK (json_valid(steps)), -- [["name", milliseconds], ...]
    console       BLOB NOT NULL
) STRICT;
CREATE INDEX outcomes_serial_number ON outcomes (serial_number) WHERE serial_number IS NOT NULL;
CREATE INDEX outcomes_device_id ON outcomes (device_id) WHERE device_id IS NOT NULL;

-- The parts. Two that were not withdrawn share neither device ID nor serial number; no two share a key.
CREATE TABLE entries (
    link              INTEGER NOT NULL UNIQUE REFERENCES outcomes,
    number            INTEGER PRIMARY KEY CHECK (number >= 1),
    device_id         BLOB NOT NULL CHECK (length(device_id) = 8),
    implementation_id BLOB NOT NULL CHECK (length(implementation_id) = 32),
    ueid              BLOB NOT NULL UNIQUE CHECK (length(ueid) = 33),
    public_key        BLOB NOT NULL UNIQUE CHECK (length(public_key) = 65),
    record            BLOB NOT NULL
) STRICT;
CREATE INDEX entries_device_id ON entries (device_id);

-- A command around a run was carried out.
CREATE TABLE programs (
    link         INTEGER PRIMARY KEY REFERENCES links,
    attempt      INTEGER NOT NULL REFERENCES attempts,
    step         TEXT NOT NULL CHECK (step IN ('before', 'on-pass', 'on-fail')),
    command      TEXT NOT NULL,
    succeeded    INTEGER NOT NULL CHECK (succeeded IN (0, 1)),
    text         TEXT NOT NULL,
    milliseconds INTEGER NOT NULL,
    output       BLOB NOT NULL
) STRICT;

-- A part was erased on purpose: its entry holds no more, and the part may be entered anew.
CREATE TABLE withdrawals (
    link   INTEGER PRIMARY KEY REFERENCES links,
    entry  INTEGER NOT NULL UNIQUE REFERENCES entries,
    reason TEXT NOT NULL
) STRICT;

-- A verifier was given entries.
CREATE TABLE exports (
    link     INTEGER PRIMARY KEY REFERENCES links,
    verifier TEXT NOT NULL,
    profile  TEXT NOT NULL,
    first    INTEGER NOT NULL REFERENCES entries,
    last     INTEGER NOT NULL REFERENCES entries CHECK (first <= last),
    parts    INTEGER NOT NULL,
    sha256   BLOB NOT NULL CHECK (length(sha256) = 32)
) STRICT;
CREATE INDEX exports_verifier ON exports (verifier, last);

-- INSERT OR REPLACE deletes the rows that stand in its way, and no delete trigger sees it. So an
-- insert must have nothing in its way: neither its key nor a unique column. And what it refers to must be there:
-- SQLite looks after foreign keys only where a program asks it to. An audit has it do so.
CREATE TRIGGER links_are_appended BEFORE INSERT ON links BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: this is not the next number')
        WHERE NEW.number IS NOT 1 + (SELECT coalesce(max(number), 0) FROM links);
    SELECT RAISE(ABORT, 'the ledger is damaged: links are missing at its end')
        WHERE NEW.number IS NOT
            1 + (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'links');
    SELECT RAISE(ABORT, 'the ledger is append-only: this does not follow the last link')
        WHERE NEW.previous IS NOT
            coalesce((SELECT hash FROM links WHERE number = NEW.number - 1), zeroblob(32));
END;

CREATE TRIGGER attempts_are_appended BEFORE INSERT ON attempts BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: this is not of the last link')
        WHERE NEW.link IS NOT (SELECT max(number) FROM links)
        OR 'attempt' IS NOT (SELECT kind FROM links WHERE number = NEW.link)
        OR EXISTS (SELECT 1 FROM attempts WHERE link = NEW.link);
END;

CREATE TRIGGER outcomes_are_appended BEFORE INSERT ON outcomes BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: this is not of the last link')
        WHERE NEW.link IS NOT (SELECT max(number) FROM links)
        OR 'outcome' IS NOT (SELECT kind FROM links WHERE number = NEW.link)
        OR EXISTS (SELECT 1 FROM outcomes WHERE link = NEW.link);
    SELECT RAISE(ABORT, 'the ledger has an outcome of this attempt')
        WHERE EXISTS (SELECT 1 FROM outcomes WHERE attempt = NEW.attempt);
    SELECT RAISE(ABORT, 'the ledger has no such attempt')
        WHERE NOT EXISTS (SELECT 1 FROM attempts WHERE link = NEW.attempt);
    SELECT RAISE(ABORT, 'the ledger has no such entry')
        WHERE NEW.seen IS NOT NULL AND NOT EXISTS (SELECT 1 FROM entries WHERE number = NEW.seen);
END;

CREATE TRIGGER entries_are_appended BEFORE INSERT ON entries BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: this is not the next number')
        WHERE NEW.number IS NOT 1 + (SELECT coalesce(max(number), 0) FROM entries);
    SELECT RAISE(ABORT, 'the ledger is append-only: this is not of the last link')
        WHERE NEW.link IS NOT (SELECT max(number) FROM links)
        OR 'good' IS NOT (SELECT result FROM outcomes WHERE link = NEW.link)
        OR EXISTS (SELECT 1 FROM entries WHERE link = NEW.link);
    SELECT RAISE(ABORT, 'the ledger has this device ID')
        WHERE EXISTS (SELECT 1 FROM entries WHERE device_id = NEW.device_id
            AND NOT EXISTS (SELECT 1 FROM withdrawals WHERE entry = entries.number));
    SELECT RAISE(ABORT, 'the ledger has this UEID')
        WHERE EXISTS (SELECT 1 FROM entries WHERE ueid = NEW.ueid);
    SELECT RAISE(ABORT, 'the ledger has this public key')
        WHERE EXISTS (SELECT 1 FROM entries WHERE public_key = NEW.public_key);
    SELECT RAISE(ABORT, 'the ledger has this serial number')
        WHERE EXISTS (SELECT 1 FROM outcomes JOIN entries ON entries.link = outcomes.link
            WHERE outcomes.serial_number = (SELECT serial_number FROM outcomes WHERE link = NEW.link)
            AND NOT EXISTS (SELECT 1 FROM withdrawals WHERE entry = entries.number));
END;

CREATE TRIGGER programs_are_appended BEFORE INSERT ON programs BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: this is not of the last link')
        WHERE NEW.link IS NOT (SELECT max(number) FROM links)
        OR 'program' IS NOT (SELECT kind FROM links WHERE number = NEW.link)
        OR EXISTS (SELECT 1 FROM programs WHERE link = NEW.link);
    SELECT RAISE(ABORT, 'the ledger has no such attempt')
        WHERE NOT EXISTS (SELECT 1 FROM attempts WHERE link = NEW.attempt);
END;

CREATE TRIGGER withdrawals_are_appended BEFORE INSERT ON withdrawals BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: this is not of the last link')
        WHERE NEW.link IS NOT (SELECT max(number) FROM links)
        OR 'withdrawal' IS NOT (SELECT kind FROM links WHERE number = NEW.link)
        OR EXISTS (SELECT 1 FROM withdrawals WHERE link = NEW.link);
    SELECT RAISE(ABORT, 'the ledger has a withdrawal of this entry')
        WHERE EXISTS (SELECT 1 FROM withdrawals WHERE entry = NEW.entry);
    SELECT RAISE(ABORT, 'the ledger has no such entry')
        WHERE NOT EXISTS (SELECT 1 FROM entries WHERE number = NEW.entry);
END;

CREATE TRIGGER exports_are_appended BEFORE INSERT ON exports BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: this is not of the last link')
        WHERE NEW.link IS NOT (SELECT max(number) FROM links)
        OR 'export' IS NOT (SELECT kind FROM links WHERE number = NEW.link)
        OR EXISTS (SELECT 1 FROM exports WHERE link = NEW.link);
    SELECT RAISE(ABORT, 'the ledger has no such entry')
        WHERE NOT EXISTS (SELECT 1 FROM entries WHERE number = NEW.first)
        OR NOT EXISTS (SELECT 1 FROM entries WHERE number = NEW.last);
    SELECT RAISE(ABORT, 'the ledger has another export for this verifier')
        WHERE NEW.first IS NOT 1 + (SELECT coalesce(max(last), 0) FROM exports WHERE verifier = NEW.verifier);
END;

CREATE TRIGGER links_are_not_changed BEFORE UPDATE ON links BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be changed');
END;
CREATE TRIGGER attempts_are_not_changed BEFORE UPDATE ON attempts BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be changed');
END;
CREATE TRIGGER outcomes_are_not_changed BEFORE UPDATE ON outcomes BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be changed');
END;
CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be changed');
END;
CREATE TRIGGER programs_are_not_changed BEFORE UPDATE ON programs BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be changed');
END;
CREATE TRIGGER withdrawals_are_not_changed BEFORE UPDATE ON withdrawals BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be changed');
END;
CREATE TRIGGER exports_are_not_changed BEFORE UPDATE ON exports BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be changed');
END;

CREATE TRIGGER links_are_not_deleted BEFORE DELETE ON links BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be deleted');
END;
CREATE TRIGGER attempts_are_not_deleted BEFORE DELETE ON attempts BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be deleted');
END;
CREATE TRIGGER outcomes_are_not_deleted BEFORE DELETE ON outcomes BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be deleted');
END;
CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be deleted');
END;
CREATE TRIGGER programs_are_not_deleted BEFORE DELETE ON programs BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be deleted');
END;
CREATE TRIGGER withdrawals_are_not_deleted BEFORE DELETE ON withdrawals BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be deleted');
END;
CREATE TRIGGER exports_are_not_deleted BEFORE DELETE ON exports BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: nothing can be deleted');
END;
