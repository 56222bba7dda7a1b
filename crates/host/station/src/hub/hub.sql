-- SPDX-License-Identifier: Apache-2.0

-- The hub, version 1: what all stations of a maker have entered, in PostgreSQL 15 or later. Everything is in the
-- schema hub, which is there already.
--
-- A station's chain is kept as it is (links), with what it says beside it (attempts, outcomes, entries, withdrawals).
-- Of these, the hub itself makes the parts: each entry is a claim, the first one wins, and one that comes second is a
-- conflict. Stations can neither write parts nor conflicts.

-- The group roles are of the whole server, and another hub on it may have made them.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['hub_station', 'hub_reader', 'hub_exporter'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA hub TO hub_station, hub_reader, hub_exporter;

-- Which role may push ledgers of which station key. The hub's owner fills it.
CREATE TABLE hub.enrolled (
    role     text COLLATE "C" NOT NULL, -- as PostgreSQL compares the names of roles
    key      bytea NOT NULL UNIQUE CHECK (length(key) = 32), -- Ed25519
    enrolled timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (role, key)
);

-- One row for each ledger, by its origin.
CREATE TABLE hub.stations (
    station          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    role             text COLLATE "C" NOT NULL DEFAULT current_user,
    key              bytea NOT NULL,
    batch            text,
    continues_format integer CHECK (continues_format >= 1),
    continues_number bigint CHECK (continues_number >= 1),
    continues_head   bytea CHECK (length(continues_head) = 32),
    origin           bytea NOT NULL UNIQUE CHECK (length(origin) = 32),
    predecessor      integer REFERENCES hub.stations, -- the ledger that it continues, where the hub has it
    begun            timestamptz NOT NULL DEFAULT now(),
    UNIQUE (station, origin),
    FOREIGN KEY (role, key) REFERENCES hub.enrolled,
    CHECK (num_nulls(continues_format, continues_number, continues_head) IN (0, 3))
);
CREATE INDEX stations_role ON hub.stations (role);

-- The chains. That a link follows the one before it, and link 1 its origin, is a constraint.
CREATE TABLE hub.links (
    station  integer NOT NULL,
    number   bigint NOT NULL CHECK (number >= 1),
    previous bytea NOT NULL CHECK (length(previous) = 32),
    hash     bytea NOT NULL,
    kind     text NOT NULL CHECK (kind IN ('attempt', 'outcome', 'program', 'withdrawal', 'export')),
    time     timestamptz NOT NULL,
    content  bytea NOT NULL CHECK (hash = sha256(content)), -- the station's CBOR
    before   bigint GENERATED ALWAYS AS (nullif(number - 1, 0)) STORED,
    origin   bytea GENERATED ALWAYS AS (CASE WHEN number = 1 THEN previous END) STORED,
    PRIMARY KEY (station, number),
    UNIQUE (station, number, hash),
    FOREIGN KEY (station, before, previous) REFERENCES hub.links (station, number, hash),
    FOREIGN KEY (station, origin) REFERENCES hub.stations (station, origin)
);

-- What stations have exported themselves, which an export from the hub leaves out.
CREATE INDEX links_exports ON hub.links (station, number) WHERE kind = 'export';

-- What the stations say of their links, to be asked in SQL. An audit compares it with the links' content.
CREATE TABLE hub.attempts (
    station       integer NOT NULL,
    link          bigint NOT NULL,
    port          text NOT NULL,
    batch         text,
    serial_number text,
    PRIMARY KEY (station, link),
    FOREIGN KEY (station, link) REFERENCES hub.links
);

CREATE TABLE hub.outcomes (
    station       integer NOT NULL,
    link          bigint NOT NULL,
    attempt       bigint NOT NULL,
    result        text NOT NULL CHECK (result IN ('good', 'known', 'failed')),
    error         text,
    failure       smallint CHECK (failure BETWEEN 1 AND 255),
    serial_number text,
    device_id     bytea CHECK (length(device_id) = 8),
    ueid          bytea CHECK (length(ueid) = 33),
    PRIMARY KEY (station, link),
    UNIQUE (station, attempt),
    FOREIGN KEY (station, link) REFERENCES hub.links,
    FOREIGN KEY (station, attempt) REFERENCES hub.attempts
);

-- The claims.
CREATE TABLE hub.entries (
    station           integer NOT NULL,
    link              bigint NOT NULL,
    entry             bigint NOT NULL CHECK (entry >= 1),
    device_id         bytea NOT NULL CHECK (length(device_id) = 8),
    implementation_id bytea NOT NULL CHECK (length(implementation_id) = 32),
    ueid              bytea NOT NULL CHECK (ueid = '\x01' || sha256(public_key)),
    public_key        bytea NOT NULL CHECK (length(public_key) = 65),
    serial_number     text,
    PRIMARY KEY (station, link),
    UNIQUE (station, entry),
    FOREIGN KEY (station, link) REFERENCES hub.outcomes
);

CREATE TABLE hub.withdrawals (
    station    integer NOT NULL,
    link       bigint NOT NULL,
    entry      bigint NOT NULL,
    reason     text NOT NULL,
    claimed_by integer NOT NULL, -- the ledger that has made the claim, and its link: the hub fills them
    claim      bigint NOT NULL,
    PRIMARY KEY (station, link),
    UNIQUE (station, entry),
    FOREIGN KEY (station, link) REFERENCES hub.links,
    FOREIGN KEY (station, entry) REFERENCES hub.entries (station, entry),
    FOREIGN KEY (claimed_by, claim) REFERENCES hub.entries
);
CREATE INDEX withdrawals_claim ON hub.withdrawals (claimed_by, claim);

-- The parts: the claims that won. Two that were not withdrawn share neither device ID nor serial number; no two share
-- a key.
CREATE TABLE hub.parts (
    station           integer NOT NULL,
    link              bigint NOT NULL,
    entry             bigint NOT NULL,
    device_id         bytea NOT NULL,
    implementation_id bytea NOT NULL,
    ueid              bytea NOT NULL UNIQUE,
    public_key        bytea NOT NULL UNIQUE,
    serial_number     text,
    withdrawn         timestamptz,
    PRIMARY KEY (station, link),
    FOREIGN KEY (station, link) REFERENCES hub.entries
);
CREATE UNIQUE INDEX parts_device_id ON hub.parts (device_id) WHERE withdrawn IS NULL;
CREATE UNIQUE INDEX parts_serial_number ON hub.parts (serial_number) WHERE withdrawn IS NULL;

-- The claims that something has stood in the way of. Those that wait are of them: they are no part, and were not
-- withdrawn.
CREATE TABLE hub.contested (
    station       integer NOT NULL,
    link          bigint NOT NULL,
    device_id     bytea NOT NULL,
    ueid          bytea NOT NULL,
    public_key    bytea NOT NULL,
    serial_number text,
    PRIMARY KEY (station, link),
    FOREIGN KEY (station, link) REFERENCES hub.entries
);
CREATE INDEX contested_device_id ON hub.contested (device_id);
CREATE INDEX contested_ueid ON hub.contested (ueid);
CREATE INDEX contested_public_key ON hub.contested (public_key);
CREATE INDEX contested_serial_number ON hub.contested (serial_number);

-- A claim that waits or has waited, a part that shares something with it, and what that is.
CREATE TABLE hub.conflicts (
    station        integer NOT NULL,
    link           bigint NOT NULL,
    holder_station integer NOT NULL,
    holder_link    bigint NOT NULL,
    device_id      boolean NOT NULL,
    ueid           boolean NOT NULL,
    public_key     boolean NOT NULL,
    serial_number  boolean NOT NULL,
    found          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (station, link, holder_station, holder_link),
    FOREIGN KEY (station, link) REFERENCES hub.contested,
    FOREIGN KEY (holder_station, holder_link) REFERENCES hub.parts,
    CHECK (device_id OR ueid OR public_key OR serial_number)
);
CREATE INDEX conflicts_holder ON hub.conflicts (holder_station, holder_link);

-- Signed heads: the C2SP signed note of a link.
CREATE TABLE hub.checkpoints (
    station integer NOT NULL,
    number  bigint NOT NULL,
    note    text NOT NULL,
    pushed  timestamptz NOT NULL DEFAULT now(), -- by the hub's clock: the links before it came with it
    PRIMARY KEY (station, number),
    FOREIGN KEY (station, number) REFERENCES hub.links
);

-- What left the hub, and which part each verifier was given: once.
CREATE TABLE hub.exports (
    export   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    role     text COLLATE "C" NOT NULL DEFAULT current_user,
    verifier text NOT NULL,
    profile  text NOT NULL,
    parts    bigint NOT NULL,
    sha256   bytea NOT NULL CHECK (length(sha256) = 32),
    time     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (export, verifier)
);

CREATE TABLE hub.exported (
    verifier text NOT NULL,
    station  integer NOT NULL,
    link     bigint NOT NULL,
    export   integer NOT NULL,
    PRIMARY KEY (verifier, station, link),
    FOREIGN KEY (export, verifier) REFERENCES hub.exports (export, verifier),
    FOREIGN KEY (station, link) REFERENCES hub.parts
);

-- What was begun to be sent to a verifier. Until it is settled the verifier may have it, or not, and nothing else leaves
-- for it: it would refuse a part that it finds in two files.
CREATE TABLE hub.submissions (
    submission integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    role       text COLLATE "C" NOT NULL DEFAULT current_user,
    verifier   text NOT NULL,
    profile    text NOT NULL,
    sha256     bytea NOT NULL CHECK (length(sha256) = 32), -- of its files
    stations   integer[] NOT NULL, -- the parts: ledgers, and their links
    links      bigint[] NOT NULL,
    time       timestamptz NOT NULL DEFAULT now(),
    CHECK (cardinality(stations) = cardinality(links))
);
CREATE INDEX submissions_verifier ON hub.submissions (verifier);

-- What has become of it: an export, or the verifier has nothing of it.
CREATE TABLE hub.settled (
    submission integer PRIMARY KEY REFERENCES hub.submissions,
    role       text COLLATE "C" NOT NULL DEFAULT current_user,
    export     integer UNIQUE REFERENCES hub.exports,
    time       timestamptz NOT NULL DEFAULT now()
);

CREATE VIEW hub.unsettled WITH (security_invoker) AS
    SELECT s.* FROM hub.submissions s WHERE NOT EXISTS (SELECT FROM hub.settled d WHERE d.submission = s.submission);

-- A claim that waits: it is no part, and was not withdrawn. With the holder's withdrawal it would have become one, were
-- it not for the key, which no other part may ever have.
CREATE VIEW hub.open_conflicts WITH (security_invoker) AS
    SELECT c.* FROM hub.conflicts c
    WHERE NOT EXISTS (SELECT FROM hub.withdrawals w WHERE (w.claimed_by, w.claim) = (c.station, c.link))
    AND NOT EXISTS (SELECT FROM hub.parts p WHERE (p.station, p.link) = (c.station, c.link))
    AND (c.ueid OR c.public_key OR NOT EXISTS
        (SELECT FROM hub.withdrawals w WHERE (w.claimed_by, w.claim) = (c.holder_station, c.holder_link)));

-- The parts that may leave: all but those that were withdrawn, and those that somebody else claims, too.
CREATE VIEW hub.exportable WITH (security_invoker) AS
    SELECT p.* FROM hub.parts p
    WHERE p.withdrawn IS NULL
    AND NOT EXISTS (SELECT FROM hub.open_conflicts c WHERE (c.holder_station, c.holder_link) = (p.station, p.link));

-- The functions below are the owner's, whoever calls them. They read by indexes only, whatever PostgreSQL has counted,
-- so that what they cost does not grow with the tables.

-- The ledger that has made this claim: one that continues another has its claims once more, under the same numbers.
CREATE FUNCTION hub.claimed_by(of_station integer, of_link bigint) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = hub, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    first integer := of_station;
    earlier integer;
BEGIN
    LOOP
        SELECT old.station INTO earlier
            FROM stations s
            JOIN entries mine ON (mine.station, mine.link) = (s.station, of_link)
            JOIN entries old ON (old.station, old.link) = (s.predecessor, of_link)
            WHERE s.station = first AND of_link <= s.continues_number
            AND (old.ueid, old.device_id) = (mine.ueid, mine.device_id);
        IF NOT FOUND THEN
            RETURN first;
        END IF;
        first := earlier;
    END LOOP;
END $$;

-- Makes a claim a part, or has it wait. Either way each part has a conflict with every claim that waits and shares
-- something with it. The caller has taken a turn alone.
CREATE FUNCTION hub.settle(of_station integer, of_link bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hub, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    claim entries;
BEGIN
    SELECT * INTO STRICT claim FROM entries WHERE (station, link) = (of_station, of_link);
    INSERT INTO parts (station, link, entry, device_id, implementation_id, ueid, public_key, serial_number)
        VALUES (claim.station, claim.link, claim.entry, claim.device_id, claim.implementation_id, claim.ueid,
            claim.public_key, claim.serial_number)
        ON CONFLICT DO NOTHING;
    IF FOUND THEN
        INSERT INTO conflicts (station, link, holder_station, holder_link, device_id, ueid, public_key, serial_number)
            SELECT c.station, c.link, claim.station, claim.link, c.device_id = claim.device_id, c.ueid = claim.ueid,
                c.public_key = claim.public_key, coalesce(c.serial_number = claim.serial_number, false)
            FROM waiting_with(claim.device_id, claim.ueid, claim.public_key, claim.serial_number) c
            ON CONFLICT DO NOTHING;
        RETURN;
    END IF;
    INSERT INTO contested (station, link, device_id, ueid, public_key, serial_number)
        VALUES (claim.station, claim.link, claim.device_id, claim.ueid, claim.public_key, claim.serial_number)
        ON CONFLICT DO NOTHING;
    INSERT INTO conflicts (station, link, holder_station, holder_link, device_id, ueid, public_key, serial_number)
        SELECT claim.station, claim.link, p.station, p.link, p.device_id = claim.device_id, p.ueid = claim.ueid,
            p.public_key = claim.public_key, coalesce(p.serial_number = claim.serial_number, false)
        FROM parts p
        WHERE (p.ueid = claim.ueid OR p.public_key = claim.public_key
            OR (p.device_id = claim.device_id AND p.withdrawn IS NULL)
            OR (p.serial_number = claim.serial_number AND p.withdrawn IS NULL))
        AND (p.station, p.link) <> (claim.station, claim.link)
        ON CONFLICT DO NOTHING;
END $$;

-- The claims that wait and have one of these.
CREATE FUNCTION hub.waiting_with(bytea, bytea, bytea, text) RETURNS SETOF hub.contested
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = hub, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    RETURN QUERY SELECT * FROM contested c
        WHERE (c.device_id = $1 OR c.ueid = $2 OR c.public_key = $3 OR c.serial_number = $4)
        AND NOT EXISTS (SELECT FROM parts p WHERE (p.station, p.link) = (c.station, c.link))
        AND NOT EXISTS (SELECT FROM withdrawals w WHERE (w.claimed_by, w.claim) = (c.station, c.link));
END $$;

-- Claims that nothing stands in the way of are made parts side by side. A transaction in which a claim has to wait, or a
-- part is withdrawn, is alone with the parts and the conflicts: what it does not see is not there.
CREATE FUNCTION hub.take_turn(is_alone boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF is_alone THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('hub', 0));
    ELSE
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('hub', 0));
    END IF;
END $$;

-- In the order of the UEIDs, so that two stations with the same parts wait for each other in the same order.
CREATE FUNCTION hub.entries_are_claims() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hub, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    claim record;
    claims bigint;
    won bigint;
BEGIN
    BEGIN
        PERFORM take_turn(false);
        WITH claims AS MATERIALIZED (
            SELECT n.* FROM new_entries n JOIN stations s USING (station)
            WHERE s.predecessor IS NULL OR claimed_by(n.station, n.link) = n.station
        ), won AS (
            INSERT INTO parts (station, link, entry, device_id, implementation_id, ueid, public_key, serial_number)
                SELECT station, link, entry, device_id, implementation_id, ueid, public_key, serial_number
                FROM claims ORDER BY ueid
                ON CONFLICT DO NOTHING
                RETURNING 1
        )
        SELECT (SELECT count(*) FROM claims), (SELECT count(*) FROM won) INTO claims, won;
        -- Row by row (OFFSET 0), whatever PostgreSQL thinks of the size of this table.
        IF won = claims AND NOT EXISTS (SELECT FROM new_entries n
            WHERE EXISTS (SELECT FROM contested c WHERE c.device_id = n.device_id OFFSET 0)
            OR EXISTS (SELECT FROM contested c WHERE c.ueid = n.ueid OFFSET 0)
            OR EXISTS (SELECT FROM contested c WHERE c.public_key = n.public_key OFFSET 0)
            OR EXISTS (SELECT FROM contested c WHERE c.serial_number = n.serial_number OFFSET 0))
        THEN
            RETURN NULL;
        END IF;
        -- It takes the parts and the lock back.
        RAISE EXCEPTION USING ERRCODE = 'HUB01';
    EXCEPTION WHEN SQLSTATE 'HUB01' THEN
        NULL;
    END;
    PERFORM take_turn(true);
    FOR claim IN
        SELECT n.station, n.link FROM new_entries n JOIN stations s USING (station)
        WHERE s.predecessor IS NULL OR claimed_by(n.station, n.link) = n.station
        ORDER BY n.ueid
    LOOP
        PERFORM settle(claim.station, claim.link);
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_are_claims AFTER INSERT ON hub.entries
    REFERENCING NEW TABLE AS new_entries FOR EACH STATEMENT EXECUTE FUNCTION hub.entries_are_claims();

CREATE FUNCTION hub.withdrawals_have_claims() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hub, pg_temp SET enable_seqscan = off AS $$
BEGIN
    SELECT e.link, claimed_by(e.station, e.link) INTO NEW.claim, NEW.claimed_by
        FROM entries e WHERE (e.station, e.entry) = (NEW.station, NEW.entry);
    RETURN NEW;
END $$;
CREATE TRIGGER withdrawals_have_claims BEFORE INSERT ON hub.withdrawals
    FOR EACH ROW EXECUTE FUNCTION hub.withdrawals_have_claims();

-- What a withdrawn part stood in the way of is settled anew.
CREATE FUNCTION hub.withdrawals_make_room() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hub, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    gone record;
    waiting record;
BEGIN
    PERFORM take_turn(true);
    FOR gone IN SELECT claimed_by, claim FROM new_withdrawals ORDER BY station, link LOOP
        UPDATE parts SET withdrawn = now()
            WHERE (station, link) = (gone.claimed_by, gone.claim) AND withdrawn IS NULL;
        FOR waiting IN
            SELECT c.station, c.link FROM conflicts c
            WHERE (c.holder_station, c.holder_link) = (gone.claimed_by, gone.claim)
            AND NOT EXISTS (SELECT FROM withdrawals w WHERE (w.claimed_by, w.claim) = (c.station, c.link))
            ORDER BY c.found, c.station, c.link
        LOOP
            PERFORM settle(waiting.station, waiting.link);
        END LOOP;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER withdrawals_make_room AFTER INSERT ON hub.withdrawals
    REFERENCING NEW TABLE AS new_withdrawals FOR EACH STATEMENT EXECUTE FUNCTION hub.withdrawals_make_room();

-- By the head that it names, or else the last ledger of the same role: of that one the hub may lack the end.
CREATE FUNCTION hub.stations_have_predecessors() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hub, pg_temp SET enable_seqscan = off AS $$
BEGIN
    IF NEW.continues_number IS NOT NULL THEN
        SELECT coalesce(
            (SELECT max(s.station) FROM stations s
                JOIN links l ON (l.station, l.number, l.hash) = (s.station, NEW.continues_number, NEW.continues_head)),
            (SELECT max(s.station) FROM stations s WHERE s.role = NEW.role)) INTO NEW.predecessor;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER stations_have_predecessors BEFORE INSERT ON hub.stations
    FOR EACH ROW EXECUTE FUNCTION hub.stations_have_predecessors();

-- Nothing leaves the hub that another claim stands against, or has left it when the claim came.
CREATE FUNCTION hub.exported_may_leave() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hub, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM new_exported n
        WHERE NOT EXISTS (SELECT FROM exportable p WHERE (p.station, p.link) = (n.station, n.link))
        AND (n.verifier, n.station, n.link) NOT IN
            (SELECT s.verifier, part.station, part.link FROM unsettled s, unnest(s.stations, s.links) AS part (station, link)))
    THEN
        RAISE EXCEPTION 'a part is held back: it was withdrawn, or another station claims it, too';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER exported_may_leave AFTER INSERT ON hub.exported
    REFERENCING NEW TABLE AS new_exported FOR EACH STATEMENT EXECUTE FUNCTION hub.exported_may_leave();

-- What leaves for one verifier leaves one after the other.
CREATE FUNCTION hub.submissions_may_leave() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hub, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('for ' || NEW.verifier, 0));
    IF EXISTS (SELECT FROM unsettled s WHERE s.verifier = NEW.verifier) THEN
        RAISE EXCEPTION 'a submission to this verifier is not settled';
    END IF;
    IF EXISTS (SELECT FROM unnest(NEW.stations, NEW.links) AS part (station, link)
        WHERE NOT EXISTS (SELECT FROM exportable p WHERE (p.station, p.link) = (part.station, part.link))
        OR EXISTS (SELECT FROM exported d
            WHERE (d.verifier, d.station, d.link) = (NEW.verifier, part.station, part.link)))
    THEN
        RAISE EXCEPTION 'a part is held back, or was given to this verifier before';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER submissions_may_leave BEFORE INSERT ON hub.submissions
    FOR EACH ROW EXECUTE FUNCTION hub.submissions_may_leave();

CREATE FUNCTION hub.exports_wait() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = hub, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('for ' || NEW.verifier, 0));
    IF EXISTS (SELECT FROM unsettled s WHERE s.verifier = NEW.verifier AND s.sha256 <> NEW.sha256) THEN
        RAISE EXCEPTION 'a submission to this verifier is not settled';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER exports_wait BEFORE INSERT ON hub.exports FOR EACH ROW EXECUTE FUNCTION hub.exports_wait();

-- Of a part only the withdrawal changes, once.
CREATE FUNCTION hub.parts_are_withdrawn() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.withdrawn IS NOT NULL OR NEW.withdrawn IS NULL
        OR to_jsonb(NEW) - 'withdrawn' <> to_jsonb(OLD) - 'withdrawn'
    THEN
        RAISE EXCEPTION 'the hub is append-only: a part can only be withdrawn';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER parts_are_withdrawn BEFORE UPDATE ON hub.parts
    FOR EACH ROW EXECUTE FUNCTION hub.parts_are_withdrawn();
ALTER TABLE hub.parts ENABLE ALWAYS TRIGGER parts_are_withdrawn;

CREATE FUNCTION hub.nothing_changes() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the hub is append-only: % of % is refused', lower(TG_OP), TG_TABLE_NAME;
END $$;

-- For each table: append-only, also for its owner; read by every role of the hub; rows are written by policies only.
DO $$
DECLARE
    name text;
    changes text;
BEGIN
    FOREACH name IN ARRAY ARRAY['enrolled', 'stations', 'links', 'attempts', 'outcomes', 'entries', 'withdrawals',
        'parts', 'contested', 'conflicts', 'checkpoints', 'exports', 'exported', 'submissions', 'settled']
    LOOP
        changes := CASE name WHEN 'parts' THEN 'DELETE OR TRUNCATE' ELSE 'UPDATE OR DELETE OR TRUNCATE' END;
        EXECUTE format('CREATE TRIGGER nothing_changes BEFORE %s ON hub.%I
            FOR EACH STATEMENT EXECUTE FUNCTION hub.nothing_changes()', changes, name);
        EXECUTE format('ALTER TABLE hub.%I ENABLE ALWAYS TRIGGER nothing_changes', name);
        EXECUTE format('ALTER TABLE hub.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY read ON hub.%I FOR SELECT USING (true)', name);
        EXECUTE format('GRANT SELECT ON hub.%I TO hub_station, hub_reader, hub_exporter', name);
    END LOOP;
    -- A station inserts what is its own.
    FOREACH name IN ARRAY ARRAY['links', 'attempts', 'outcomes', 'entries', 'withdrawals', 'checkpoints'] LOOP
        EXECUTE format('CREATE POLICY own ON hub.%I FOR INSERT TO hub_station WITH CHECK
            (station IN (SELECT s.station FROM hub.stations s WHERE s.role = current_user::text))', name);
    END LOOP;
END $$;
CREATE POLICY own ON hub.stations FOR INSERT TO hub_station WITH CHECK (role = current_user::text);
CREATE POLICY own ON hub.exports FOR INSERT TO hub_exporter WITH CHECK (role = current_user::text);
CREATE POLICY own ON hub.exported FOR INSERT TO hub_exporter WITH CHECK
    (export IN (SELECT e.export FROM hub.exports e WHERE e.role = current_user::text));

CREATE POLICY own ON hub.submissions FOR INSERT TO hub_exporter WITH CHECK (role = current_user::text);
CREATE POLICY own ON hub.settled FOR INSERT TO hub_exporter WITH CHECK (role = current_user::text);

GRANT SELECT ON hub.open_conflicts, hub.exportable, hub.unsettled TO hub_station, hub_reader, hub_exporter;
GRANT INSERT (key, batch, continues_format, continues_number, continues_head, origin) ON hub.stations TO hub_station;
GRANT INSERT ON hub.links, hub.attempts, hub.outcomes, hub.entries TO hub_station;
GRANT INSERT (station, number, note) ON hub.checkpoints TO hub_station;
GRANT INSERT (station, link, entry, reason) ON hub.withdrawals TO hub_station;
GRANT INSERT (verifier, profile, parts, sha256) ON hub.exports TO hub_exporter;
GRANT INSERT ON hub.exported TO hub_exporter;
GRANT INSERT (verifier, profile, sha256, stations, links) ON hub.submissions TO hub_exporter;
GRANT INSERT (submission, export) ON hub.settled TO hub_exporter;

-- Triggers need no right to be called.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA hub FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hub.take_turn TO hub_station;
