-- SPDX-License-Identifier: Apache-2.0

-- A ledger of format 2 as sqlite3 dumps it: made by the ledger of commit 92401d9 from the facts of common/edits.rs, with
-- the records of provision --simulate 5 --seed 7.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
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
INSERT INTO links VALUES(1,1795737600001,0,'bench 3','kim','0.1.0','attempt',X'0000000000000000000000000000000000000000000000000000000000000000',X'f02e54a932024ed09eb357746e65f3abcc0c1e5c3f1937d3a708fd1f9a9b96ad');
INSERT INTO links VALUES(2,1795737600002,0,'bench 3','kim','0.1.0','program',X'f02e54a932024ed09eb357746e65f3abcc0c1e5c3f1937d3a708fd1f9a9b96ad',X'b84e8c70e29e63f877f99652620145b6a4ef3ffb97c8f009540d7dc37f0711a9');
INSERT INTO links VALUES(3,1795737600003,0,'bench 3','kim','0.1.0','outcome',X'b84e8c70e29e63f877f99652620145b6a4ef3ffb97c8f009540d7dc37f0711a9',X'4480390daa141fa3fd623c54a671819fe71e4eba27b340d5c14bd84f2e0ef22f');
INSERT INTO links VALUES(4,1795737600004,0,'bench 3','kim','0.1.0','program',X'4480390daa141fa3fd623c54a671819fe71e4eba27b340d5c14bd84f2e0ef22f',X'6f89a05da1e8d10f9f57962962f042e8b127f5b23ca9f792cef99f03fbfea6c8');
INSERT INTO links VALUES(5,1795737600005,0,'bench 3','kim','0.1.0','attempt',X'6f89a05da1e8d10f9f57962962f042e8b127f5b23ca9f792cef99f03fbfea6c8',X'2008d2803582135fb6bf6798da30d59b5ac7deb709356b94bd7b84dd86d09cdd');
INSERT INTO links VALUES(6,1795737600005,0,'bench 3','kim','0.1.0','outcome',X'2008d2803582135fb6bf6798da30d59b5ac7deb709356b94bd7b84dd86d09cdd',X'5631b72bf8545c930747a38b803f6a8b03ba1d3d50eea1a1ca4db77041b43bd2');
INSERT INTO links VALUES(7,1795737600006,0,'bench 3','kim','0.1.0','program',X'5631b72bf8545c930747a38b803f6a8b03ba1d3d50eea1a1ca4db77041b43bd2',X'99e0f5a5cc6aa209b97dcd02e7d27c13d210223cbd9ad2006e0ee479b06dc8e0');
INSERT INTO links VALUES(8,1795737600007,0,'bench 3','kim','0.1.0','attempt',X'99e0f5a5cc6aa209b97dcd02e7d27c13d210223cbd9ad2006e0ee479b06dc8e0',X'3f11d0a829d8e219d188fd2d8e5fea93cb8e51d3b327f5ad23e2e4989de29eab');
INSERT INTO links VALUES(9,1795737600007,0,'bench 3','kim','0.1.0','outcome',X'3f11d0a829d8e219d188fd2d8e5fea93cb8e51d3b327f5ad23e2e4989de29eab',X'ac80aa934e37e17ad7274da19b85d4df398ed47d1f57bf906d6fc024caa60a32');
INSERT INTO links VALUES(10,1795737600008,0,'bench 3','kim','0.1.0','withdrawal',X'ac80aa934e37e17ad7274da19b85d4df398ed47d1f57bf906d6fc024caa60a32',X'c3e8b46bf05a498156f4e085fe9afb1e68120c39d431759b2e5ee82a76b827d2');
INSERT INTO links VALUES(11,1795737600009,0,'bench 3','kim','0.1.0','attempt',X'c3e8b46bf05a498156f4e085fe9afb1e68120c39d431759b2e5ee82a76b827d2',X'19848e7fcfd1032771bf99279336f400b7cd20326211525c26de03b8b1984830');
INSERT INTO links VALUES(12,1795737600009,0,'bench 3','kim','0.1.0','outcome',X'19848e7fcfd1032771bf99279336f400b7cd20326211525c26de03b8b1984830',X'0d76749de844d3e1da82db1a8d008806fc41e4e5ebe5db4d233dd7b2c6f5882e');
INSERT INTO links VALUES(13,1795737600010,0,'bench 3','kim','0.1.0','attempt',X'0d76749de844d3e1da82db1a8d008806fc41e4e5ebe5db4d233dd7b2c6f5882e',X'8ccb9cf341a0abf0f7a7a6339d73c735b91559fa0e9b753108d4e6705e6da2c7');
INSERT INTO links VALUES(14,1795737600010,0,'bench 3','kim','0.1.0','outcome',X'8ccb9cf341a0abf0f7a7a6339d73c735b91559fa0e9b753108d4e6705e6da2c7',X'693663f7f61bed37a6963a6dffbb6151f7a2c9dd3cf09066c093ed637989a569');
INSERT INTO links VALUES(15,1795737600011,0,'bench 3','kim','0.1.0','attempt',X'693663f7f61bed37a6963a6dffbb6151f7a2c9dd3cf09066c093ed637989a569',X'8cf5f607cecda105abe55a7d670c0c782f280f6f638d9145ea3987711f267af4');
INSERT INTO links VALUES(16,1795737600011,0,'bench 3','kim','0.1.0','outcome',X'8cf5f607cecda105abe55a7d670c0c782f280f6f638d9145ea3987711f267af4',X'75d480e208d0b705f708bf2b197c096867946902bfc833ed27e5caa7d1df3d4c');
INSERT INTO links VALUES(17,1795737600012,0,'bench 3','kim','0.1.0','attempt',X'75d480e208d0b705f708bf2b197c096867946902bfc833ed27e5caa7d1df3d4c',X'73defe37a7f6a6ae0efd3a9281426421dcbf848bef1c332577aca18e46075603');
INSERT INTO links VALUES(18,1795737600012,0,'bench 3','kim','0.1.0','outcome',X'73defe37a7f6a6ae0efd3a9281426421dcbf848bef1c332577aca18e46075603',X'5940007ab72778ec79af2325479df261531a87a36e9fb76b36e8e2d128a90a25');
INSERT INTO links VALUES(19,1795737600013,0,'bench 3','kim','0.1.0','export',X'5940007ab72778ec79af2325479df261531a87a36e9fb76b36e8e2d128a90a25',X'15d0586c606faf38f9002c5b57d252d2b6073d08e3de479c6a3bfef08393bd37');
INSERT INTO links VALUES(20,1795737600014,0,'bench 3','kim','0.1.0','attempt',X'15d0586c606faf38f9002c5b57d252d2b6073d08e3de479c6a3bfef08393bd37',X'd3d31839832990c08b460c4a69c2e732506ab8df29087542076ceb48bad72bff');
INSERT INTO links VALUES(21,1795737600014,0,'bench 3','kim','0.1.0','outcome',X'd3d31839832990c08b460c4a69c2e732506ab8df29087542076ceb48bad72bff',X'eddd390f60c995f43003ff9d0e7553fc21d85736cb8bbc500f36f466f932f213');
INSERT INTO links VALUES(22,1795737600015,0,'bench 3','kim','0.1.0','attempt',X'eddd390f60c995f43003ff9d0e7553fc21d85736cb8bbc500f36f466f932f213',X'12d7d45e951f3d125aea67c51a40cbe8483484ab4d747fafd5475c533a49553b');
CREATE TABLE attempts (
    link          INTEGER PRIMARY KEY REFERENCES links,
    port          TEXT NOT NULL,
    batch         TEXT,
    serial_number TEXT
) STRICT;
INSERT INTO attempts VALUES(1,'/dev/ttyACM0','lot 7','SN-1');
INSERT INTO attempts VALUES(5,'/dev/ttyACM0','lot 7',NULL);
INSERT INTO attempts VALUES(8,'/dev/ttyACM0','lot 7',NULL);
INSERT INTO attempts VALUES(11,'/dev/ttyACM0','lot 7',NULL);
INSERT INTO attempts VALUES(13,'/dev/ttyACM0','lot 7','SN-3');
INSERT INTO attempts VALUES(15,'/dev/ttyACM0','lot 7','SN-1');
INSERT INTO attempts VALUES(17,'/dev/ttyACM0','lot 7','SN-4');
INSERT INTO attempts VALUES(20,'/dev/ttyACM0','lot 7','SN-5');
INSERT INTO attempts VALUES(22,'/dev/ttyACM0','lot 7','SN-6');
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
INSERT INTO outcomes VALUES(3,1,'good',NULL,NULL,NULL,NULL,'SN-1',NULL,NULL,X'1111111111111111111111111111111111111111111111111111111111111111','[["huk",70]]',X'0a00000080587217a053756363657373210d0a');
INSERT INTO outcomes VALUES(6,5,'failed','failed',8,'the part says: Failure: no',NULL,NULL,NULL,NULL,X'1111111111111111111111111111111111111111111111111111111111111111','[["huk",70]]',X'0a00000080587217a053756363657373210d0a');
INSERT INTO outcomes VALUES(9,8,'good',NULL,NULL,NULL,NULL,NULL,NULL,NULL,X'1111111111111111111111111111111111111111111111111111111111111111','[["huk",70]]',X'0a00000080587217a053756363657373210d0a');
INSERT INTO outcomes VALUES(12,11,'known',NULL,NULL,NULL,1,NULL,X'4ff190b4c2c573ec',X'0172d825a4f7b96259c48df6a0c828d6d9d51d8d9886226c958fec3d82c8f5aa17',X'1111111111111111111111111111111111111111111111111111111111111111','[["huk",70]]',X'0a00000080587217a053756363657373210d0a');
INSERT INTO outcomes VALUES(14,13,'good',NULL,NULL,NULL,NULL,'SN-3',NULL,NULL,X'1111111111111111111111111111111111111111111111111111111111111111','[["huk",70]]',X'0a00000080587217a053756363657373210d0a');
INSERT INTO outcomes VALUES(16,15,'failed','seen-before',NULL,'the part of entry 1 has the same serial number. Check both labels; if one was read wrongly, start the part again and give the right one. Nothing was entered',1,'SN-1',X'811df171d767cf80',X'01dc1212d6d517c06f5ddd8db7bf2b2a92273ede86f82200d6bec80b98bcfe1553',X'1111111111111111111111111111111111111111111111111111111111111111','[["huk",70]]',X'0a00000080587217a053756363657373210d0a');
INSERT INTO outcomes VALUES(18,17,'good',NULL,NULL,NULL,NULL,'SN-4',NULL,NULL,X'1111111111111111111111111111111111111111111111111111111111111111','[["huk",70]]',X'0a00000080587217a053756363657373210d0a');
INSERT INTO outcomes VALUES(21,20,'good',NULL,NULL,NULL,NULL,'SN-5',NULL,NULL,X'1111111111111111111111111111111111111111111111111111111111111111','[["huk",70]]',X'0a00000080587217a053756363657373210d0a');
CREATE TABLE entries (
    link              INTEGER NOT NULL UNIQUE REFERENCES outcomes,
    number            INTEGER PRIMARY KEY CHECK (number >= 1),
    device_id         BLOB NOT NULL CHECK (length(device_id) = 8),
    implementation_id BLOB NOT NULL CHECK (length(implementation_id) = 32),
    ueid              BLOB NOT NULL UNIQUE CHECK (length(ueid) = 33),
    public_key        BLOB NOT NULL UNIQUE CHECK (length(public_key) = 65),
    record            BLOB NOT NULL
) STRICT;
INSERT INTO entries VALUES(3,1,X'4ff190b4c2c573ec',X'aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd',X'0172d825a4f7b96259c48df6a0c828d6d9d51d8d9886226c958fec3d82c8f5aa17',X'04008d799a77dc93e6ef4b11a3bb029cff282969029bb85cfb6ae77bd871fad21d540f460c158e997617748e110cd15b17ac24cc92c0439b98616fee2c7bc660ff',X'82d28443a10126a059012aa90a58209647e47e17eac245c755752f80aa6a277d167d3b45f1ee8610a2bceee2b78ccb19010058210172d825a4f7b96259c48df6a0c828d6d9d51d8d9886226c958fec3d82c8f5aa1719010978217461673a7073616365727469666965642e6f72672c323032333a7073612374666d19010c5820c0b08252c17bf4bd08d8a650f2a76a7f68d49fd014ce5db6bcc009a77f31ef3219095a0119095b19200019095c5820aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd19095f81a4016450526f54025820e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8550465302e312e3005582000000000000000000000000000000000000000000000000000000000000000003a00010000484ff190b4c2c573ec584020c3ffd028a3af9f86edc1e559e0bfe0e4e4c710c4434c8adfc70df32e28f1d4062bbad9991be4051cbfb807df273b47324b897ec04981e8db921614f513794fa5010203262001215820008d799a77dc93e6ef4b11a3bb029cff282969029bb85cfb6ae77bd871fad21d225820540f460c158e997617748e110cd15b17ac24cc92c0439b98616fee2c7bc660ff');
INSERT INTO entries VALUES(9,2,X'e8dd943d366caae7',X'aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd',X'0101a814f518020c5142fde3ff9cbca1dc3de142c151a0aed031909b132fe68e73',X'04b67a78c6883a221aa8b18c23b5e2721498827bd9d6a7f8bb5abe0f8fb70870ea1ea62c5f34cf77a9327d207387088c64ebc4b712b1dcbc319a27e6ca949dec29',X'82d28443a10126a059012aa90a582086f31e8b3d304275351734c58697e209f21e03d7bbc03836ad3d4fae75fbdc1819010058210101a814f518020c5142fde3ff9cbca1dc3de142c151a0aed031909b132fe68e7319010978217461673a7073616365727469666965642e6f72672c323032333a7073612374666d19010c582028805a5f0193718bf2c65ebec530ddf42524d6713760da867006f7c7d7fe5e4719095a0119095b19200019095c5820aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd19095f81a4016450526f54025820e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8550465302e312e3005582000000000000000000000000000000000000000000000000000000000000000003a0001000048e8dd943d366caae758401d5bf02ca9b8239af51189cd66cdc3d6197c091069a92e703710546b108242cf51c15ccd9d34ff327a63827167343a29a567c8372957bd9b3651943bb78f96cba5010203262001215820b67a78c6883a221aa8b18c23b5e2721498827bd9d6a7f8bb5abe0f8fb70870ea2258201ea62c5f34cf77a9327d207387088c64ebc4b712b1dcbc319a27e6ca949dec29');
INSERT INTO entries VALUES(14,3,X'4258d21fa8b08977',X'aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd',X'01ae0f120cd1cf6c8f9099af85fff927d36cde11026732c1ea952404fbb97c5994',X'0485cf509ddf1ce0932305fb37e70b3b6d9f6b7928aafa943cea4b1d45762ac894708b3ca45726c9d982f542385469ff7639e9d9abec32324c6610f8a5ea29cc5e',X'82d28443a10126a059012aa90a5820daabc4d3313d99c4c56552739671837ab1eb6bfc665f401f63074d52e8738f02190100582101ae0f120cd1cf6c8f9099af85fff927d36cde11026732c1ea952404fbb97c599419010978217461673a7073616365727469666965642e6f72672c323032333a7073612374666d19010c5820f7fee053578cc0a110fe0644158c688aa261a5fd9f644856c6120b2f2e356f2f19095a0119095b19200019095c5820aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd19095f81a4016450526f54025820e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8550465302e312e3005582000000000000000000000000000000000000000000000000000000000000000003a00010000484258d21fa8b0897758409578bea3fc6283aac244cc96b8e3e40890c8250e415c804258d8c7cb0144ccce2397931a9ea46e8fe44291e1ae042b6591c28aa0f75dd5162b963986a994516da501020326200121582085cf509ddf1ce0932305fb37e70b3b6d9f6b7928aafa943cea4b1d45762ac894225820708b3ca45726c9d982f542385469ff7639e9d9abec32324c6610f8a5ea29cc5e');
INSERT INTO entries VALUES(18,4,X'811df171d767cf80',X'aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd',X'01dc1212d6d517c06f5ddd8db7bf2b2a92273ede86f82200d6bec80b98bcfe1553',X'046d75c812a03d719805270bbb610dc8b50f49faa24fdfaadd213b7d1eb3360db30846af59d77471cec58eba7ec886b9731d35b5aaa506f5a8d132a666ccc6b580',X'82d28443a10126a059012aa90a5820b11133a5f539da6f415de58ccc9b3f56b3ad52010f7dfee192bd4da76b49fcbd190100582101dc1212d6d517c06f5ddd8db7bf2b2a92273ede86f82200d6bec80b98bcfe155319010978217461673a7073616365727469666965642e6f72672c323032333a7073612374666d19010c5820d6a79d2d020ce929ceb57137dfbb9e34fe88e953cfb911cc3cbb2272819bc33419095a0119095b19200019095c5820aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd19095f81a4016450526f54025820e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8550465302e312e3005582000000000000000000000000000000000000000000000000000000000000000003a0001000048811df171d767cf805840af497c9ed577542cd280a4fdf3eeebf440124d61dbb4dc31f9054ac2fab44e51f5ccdf610b42fb4cf15813f84bf5faebe0d59a0b4b9d77fb6a4eb5e9d740c085a50102032620012158206d75c812a03d719805270bbb610dc8b50f49faa24fdfaadd213b7d1eb3360db32258200846af59d77471cec58eba7ec886b9731d35b5aaa506f5a8d132a666ccc6b580');
INSERT INTO entries VALUES(21,5,X'8d91efc5106ff3a3',X'aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd',X'017e2cebf6aaa67c80c55f09abd1dd65b6622f5e437dc24c2b271d54d7985671ae',X'04b45f818727dcbbf0fe2b456df4f21e8458335ea9a949abc0593e1de197a9a70bfe016486da7e44787679b596f7891235ae48916add1c791e0caf4ce13daef508',X'82d28443a10126a059012aa90a5820e4be4e4cc55e96cc203a0d79d287d84a90024d38e21a27eaffac204de6b3fceb1901005821017e2cebf6aaa67c80c55f09abd1dd65b6622f5e437dc24c2b271d54d7985671ae19010978217461673a7073616365727469666965642e6f72672c323032333a7073612374666d19010c5820b8ea3d026b648e72adbfd4a0d9bbe3a3a9911fc41f43a318b3ec149cedf9d58519095a0119095b19200019095c5820aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd19095f81a4016450526f54025820e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8550465302e312e3005582000000000000000000000000000000000000000000000000000000000000000003a00010000488d91efc5106ff3a358402a67617bff384eb870ac13210465009e61d6bfacc5a9f77863a32be985297be3d0cf83697047f81b2cb4dc3d2797e865c047e2f317901b10a48a2a889b236157a5010203262001215820b45f818727dcbbf0fe2b456df4f21e8458335ea9a949abc0593e1de197a9a70b225820fe016486da7e44787679b596f7891235ae48916add1c791e0caf4ce13daef508');
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
INSERT INTO programs VALUES(2,1,'before','lamp',1,'exit code',12,X'02000000b8d31e85206f6e');
INSERT INTO programs VALUES(4,1,'on-pass','lamp',1,'exit code',12,X'02000000b8d31e85206f6e');
INSERT INTO programs VALUES(7,5,'on-fail','lamp',0,'exit code',12,X'02000000b8d31e85206f6e');
CREATE TABLE withdrawals (
    link   INTEGER PRIMARY KEY REFERENCES links,
    entry  INTEGER NOT NULL UNIQUE REFERENCES entries,
    reason TEXT NOT NULL
) STRICT;
INSERT INTO withdrawals VALUES(10,2,'repaired');
CREATE TABLE exports (
    link     INTEGER PRIMARY KEY REFERENCES links,
    verifier TEXT NOT NULL,
    profile  TEXT NOT NULL,
    first    INTEGER NOT NULL REFERENCES entries,
    last     INTEGER NOT NULL REFERENCES entries CHECK (first <= last),
    parts    INTEGER NOT NULL,
    sha256   BLOB NOT NULL CHECK (length(sha256) = 32)
) STRICT;
INSERT INTO exports VALUES(19,'veraison','psa-2025',1,4,3,X'5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('links',22);
CREATE INDEX attempts_serial_number ON attempts (serial_number) WHERE serial_number IS NOT NULL;
CREATE INDEX outcomes_serial_number ON outcomes (serial_number) WHERE serial_number IS NOT NULL;
CREATE INDEX outcomes_device_id ON outcomes (device_id) WHERE device_id IS NOT NULL;
CREATE INDEX entries_device_id ON entries (device_id);
CREATE INDEX exports_verifier ON exports (verifier, last);
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
COMMIT;
