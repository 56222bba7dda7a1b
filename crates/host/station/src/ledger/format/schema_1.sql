-- SPDX-License-Identifier: Apache-2.0

-- The ledger. An audit compares these statements with those in the file, to the letter: a
-- change in one of them, or in a comment inside it, makes a new version of the format.

CREATE TABLE entries (
    number            INTEGER PRIMARY KEY AUTOINCREMENT CHECK (number >= 1),
    time              TEXT NOT NULL CHECK (time GLOB
        '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z'),
    port              TEXT NOT NULL,
    device_id         BLOB NOT NULL UNIQUE CHECK (length(device_id) = 8),
    implementation_id BLOB NOT NULL CHECK (length(implementation_id) = 32),
    ueid              BLOB NOT NULL UNIQUE CHECK (length(ueid) = 33),
    public_key        BLOB NOT NULL UNIQUE CHECK (length(public_key) = 65),
    record            BLOB NOT NULL,
    previous          BLOB NOT NULL CHECK (length(previous) = 32),
    hash              BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: no entry can be changed');
END;

CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: no entry can be deleted');
END;

-- INSERT OR REPLACE deletes the rows that stand in its way, and no delete trigger sees it. So an
-- insert must have nothing in its way: neither its number nor a unique column.
CREATE TRIGGER entries_are_appended BEFORE INSERT ON entries BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: this is not the next number')
        WHERE NEW.number IS NOT 1 + (SELECT coalesce(max(number), 0) FROM entries);
    SELECT RAISE(ABORT, 'the ledger is damaged: entries are missing at its end')
        WHERE NEW.number IS NOT
            1 + (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'entries');
    SELECT RAISE(ABORT, 'the ledger is append-only: this does not follow the last entry')
        WHERE NEW.previous IS NOT
            coalesce((SELECT hash FROM entries WHERE number = NEW.number - 1), zeroblob(32));
    SELECT RAISE(ABORT, 'the ledger has this device ID')
        WHERE EXISTS (SELECT 1 FROM entries WHERE device_id = NEW.device_id);
    SELECT RAISE(ABORT, 'the ledger has this UEID')
        WHERE EXISTS (SELECT 1 FROM entries WHERE ueid = NEW.ueid);
    SELECT RAISE(ABORT, 'the ledger has this public key')
        WHERE EXISTS (SELECT 1 FROM entries WHERE public_key = NEW.public_key);
END;
