-- One settling: p_op is 2 to complete, 3 to fail, 0 to release. Returns the new state, 10 for already, 11 for lost.
CREATE FUNCTION omniq.settle_one(
    p_op smallint, p_seq bigint, p_id text, p_epoch bigint, p_nonce text, p_error text, p_at bigint,
    p_result omniq.result, p_now bigint, p_mode integer
) RETURNS smallint LANGUAGE plpgsql AS $$
DECLARE
    v_old omniq.head;
BEGIN
    -- Only with a current token is the row locked: a claim passes over locked rows.
    SELECT * INTO v_old FROM omniq.head
    WHERE seq = p_seq AND id = p_id AND state + 0 = 1 AND epoch = p_epoch AND nonce = p_nonce FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM FROM omniq.head
        WHERE seq = p_seq AND id = p_id AND state <> 1 AND epoch = p_epoch AND nonce = p_nonce;
        RETURN CASE WHEN FOUND THEN 10 ELSE 11 END;
    ELSIF p_op = 2 THEN
        PERFORM omniq.finish(v_old, 2::smallint, 2::smallint, NULL, true, p_now, p_mode, p_result);
        RETURN 2;
    ELSIF v_old.cancel_requested THEN
        PERFORM omniq.finish(v_old, 4::smallint, 7::smallint, p_error, true, p_now, p_mode, p_result);
        RETURN 4;
    ELSIF p_op = 0 THEN
        PERFORM omniq.back(v_old, 5::smallint, greatest(p_at, p_now), v_old.attempts - 1, NULL, p_now, p_mode);
        RETURN 0;
    ELSIF p_at IS NOT NULL AND v_old.attempts < v_old.max_attempts THEN
        PERFORM omniq.back(v_old, 4::smallint, greatest(p_at, p_now), v_old.attempts, p_error, p_now, p_mode);
        RETURN 0;
    END IF;
    PERFORM omniq.finish(v_old, 3::smallint, 3::smallint, p_error, true, p_now, p_mode, p_result);
    RETURN 3;
END $$;

-- Settle runs in order: all of them with one statement, unless a token is stale or a task is in a series.
-- Of the results only those with a codec count. Returns as settle_one, or NULL if all are the state 2 of p_op.
CREATE FUNCTION omniq.settle(
    p_op smallint, p_seqs bigint[], p_ids text[], p_epochs bigint[], p_nonces text[], p_errors text[], p_ats bigint[],
    p_values bytea[], p_codecs text[], p_result_errors text[], p_ttls bigint[], p_now bigint, p_mode integer
) RETURNS smallint[] LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    v_now bigint := omniq.now_ms(p_now);
    v_states smallint[];
    v_given record;
    v_result omniq.result;
BEGIN
    BEGIN
        WITH given AS MATERIALIZED (
            SELECT * FROM unnest(
                p_seqs, p_ids, p_epochs, p_nonces, p_errors, p_ats, p_values, p_codecs, p_result_errors, p_ttls
            ) WITH ORDINALITY AS u (
                seq, id, epoch, nonce, error, at, value, codec, result_error, ttl_ms, n
            )
        ), settled AS (
            UPDATE omniq.head AS h SET
                version = h.version + 1, lease_until = NULL, cancel_requested = false, error = coalesce(g.error, h.error),
                state = CASE WHEN p_op = 2 THEN 2 WHEN h.cancel_requested THEN 4 WHEN p_op <> 2 AND NOT h.cancel_requested
                    AND (p_op = 0 OR (g.at IS NOT NULL AND h.attempts < h.max_attempts)) THEN 0 ELSE 3 END,
                ready_at = CASE WHEN p_op <> 2 AND NOT h.cancel_requested
                    AND (p_op = 0 OR (g.at IS NOT NULL AND h.attempts < h.max_attempts)) THEN greatest(g.at, v_now) ELSE h.ready_at END,
                finished_at = CASE WHEN p_op <> 2 AND NOT h.cancel_requested
                    AND (p_op = 0 OR (g.at IS NOT NULL AND h.attempts < h.max_attempts)) THEN NULL ELSE v_now END,
                attempts = CASE WHEN p_op = 0 AND NOT h.cancel_requested THEN h.attempts - 1 ELSE h.attempts END
            FROM given AS g
            WHERE h.seq = g.seq AND h.id = g.id AND h.state + 0 = 1 AND h.epoch = g.epoch AND h.nonce = g.nonce
                AND h.series_id IS NULL
            RETURNING h.seq, h.id, h.version, h.state, h.attempts, h.epoch, h.ready_at, h.queue, h.worker,
                h.started_at, h.error, g.n, g.error AS said, g.value, g.codec, g.result_error, g.ttl_ms
        ), batch AS (
            INSERT INTO omniq.event_batch (batch, at)
            SELECT nextval('omniq.batch_seq'), v_now FROM (SELECT count(*) AS rows FROM settled) AS c
            WHERE p_mode & 1 = 1 AND rows > 0
            RETURNING batch
        ), events AS (
            INSERT INTO omniq.event (
                batch, n, seq, version, at, attempt, epoch, ready_at, duration_ms, type, state, task, queue, worker, error
            ) SELECT b.batch, s.n, s.seq, s.version, v_now, s.attempts, s.epoch,
                CASE WHEN s.state = 0 THEN s.ready_at END, v_now - s.started_at,
                CASE s.state WHEN 2 THEN 2 WHEN 3 THEN 3 WHEN 4 THEN 7 ELSE CASE p_op WHEN 0 THEN 5 ELSE 4 END END,
                s.state, s.id, s.queue, s.worker, s.said
            FROM batch AS b, settled AS s
        ), entries AS (
            INSERT INTO omniq.outbox (
                seq, version, at, attempt, epoch, ready_at, duration_ms, type, state, task, queue, worker, error
            ) SELECT s.seq, s.version, v_now, s.attempts, s.epoch,
                CASE WHEN s.state = 0 THEN s.ready_at END, v_now - s.started_at,
                CASE s.state WHEN 2 THEN 2 WHEN 3 THEN 3 WHEN 4 THEN 7 ELSE CASE p_op WHEN 0 THEN 5 ELSE 4 END END,
                s.state, s.id, s.queue, s.worker, s.said
            FROM settled AS s WHERE p_mode & 1 = 0 OR (p_mode & 2 = 0 AND s.state <> 0) ORDER BY s.n
        ), results AS (
            INSERT INTO omniq.result AS kept (
                id, seq, epoch, stored_at, ttl_ms, expires_at, status, told, codec, error, value
            ) SELECT s.id, s.seq, s.epoch, v_now, l.ttl_ms, v_now + l.ttl_ms, s.state, s.codec IS NULL,
                coalesce(s.codec, 'json'),
                CASE WHEN s.codec IS NOT NULL THEN s.result_error WHEN s.state <> 2 THEN s.error END, s.value
            FROM settled AS s CROSS JOIN LATERAL (
                SELECT CASE WHEN s.codec IS NOT NULL THEN s.ttl_ms ELSE (
                    SELECT t.result_ttl_ms FROM omniq.task AS t WHERE t.seq = s.seq
                ) END AS ttl_ms
            ) AS l
            WHERE p_mode & 2 = 2 AND s.state <> 0
            ON CONFLICT (id) DO UPDATE SET
                seq = excluded.seq, epoch = excluded.epoch, stored_at = excluded.stored_at,
                expires_at = excluded.expires_at, ttl_ms = excluded.ttl_ms, status = excluded.status,
                told = excluded.told, codec = excluded.codec, error = excluded.error, value = excluded.value
            WHERE (excluded.seq, excluded.epoch) >= (kept.seq, kept.epoch)
        )
        SELECT array_agg(s.state ORDER BY s.n) INTO v_states FROM settled AS s;
        IF coalesce(cardinality(v_states), 0) = cardinality(p_seqs) THEN
            RETURN CASE WHEN p_op <> 2 THEN v_states END;
        END IF;
        RAISE EXCEPTION 'one by one' USING ERRCODE = 'OQ001';
    EXCEPTION WHEN SQLSTATE 'OQ001' THEN
        v_states := '{}';
    END;
    FOR v_given IN
        SELECT * FROM unnest(
            p_seqs, p_ids, p_epochs, p_nonces, p_errors, p_ats, p_values, p_codecs, p_result_errors, p_ttls
        ) AS u (seq, id, epoch, nonce, error, at, value, codec, result_error, ttl_ms)
    LOOP
        v_result := NULL;
        v_result.value := v_given.value;
        v_result.codec := v_given.codec;
        v_result.error := v_given.result_error;
        v_result.ttl_ms := v_given.ttl_ms;
        v_states := v_states || omniq.settle_one(
            p_op, v_given.seq, v_given.id, v_given.epoch, v_given.nonce, v_given.error, v_given.at, v_result, v_now,
            p_mode
        );
    END LOOP;
    RETURN v_states;
END $$;

-- Extend the leases whose token is current, and return those tokens.
CREATE FUNCTION omniq.heartbeat(
    p_seqs bigint[], p_ids text[], p_epochs bigint[], p_nonces text[], p_lease_ms bigint, p_now bigint
) RETURNS TABLE (o_seq bigint, o_id text, o_epoch bigint, o_nonce text, o_cancel boolean) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    v_now bigint := omniq.now_ms(p_now);
BEGIN
    RETURN QUERY
    UPDATE omniq.head AS h SET lease_until = greatest(h.lease_until, v_now + p_lease_ms)
    FROM unnest(p_seqs, p_ids, p_epochs, p_nonces) AS g (seq, id, epoch, nonce)
    WHERE h.seq = g.seq AND h.id = g.id AND h.state + 0 = 1 AND h.epoch = g.epoch AND h.nonce = g.nonce
    RETURNING h.seq, h.id, h.epoch, h.nonce, h.cancel_requested;
END $$;

-- Cancel tasks in order, or ask for it: 0 missing, 1 cancelled, 2 requested, 3 finished.
CREATE FUNCTION omniq.cancel(p_ids text[], p_now bigint, p_mode integer) RETURNS smallint[] LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
AS $$
DECLARE
    v_now bigint := omniq.now_ms(p_now);
    v_id text;
    v_old omniq.head;
    v_new omniq.head;
    v_replies smallint[] := '{}';
BEGIN
    PERFORM omniq.adopt(v_now, p_mode);
    FOREACH v_id IN ARRAY p_ids LOOP
        SELECT h.* INTO v_old FROM omniq.task AS t JOIN omniq.head AS h ON h.seq = t.seq WHERE t.id = v_id
        FOR UPDATE OF h;
        IF NOT FOUND THEN
            v_replies := v_replies || 0::smallint;
        ELSIF v_old.state = 0 THEN
            PERFORM omniq.finish(v_old, 4::smallint, 7::smallint, NULL, false, v_now, p_mode);
            v_replies := v_replies || 1::smallint;
        ELSIF v_old.state = 1 THEN
            IF NOT v_old.cancel_requested THEN
                v_new := v_old;
                v_new.cancel_requested := true;
                PERFORM omniq.save(v_old, v_new, 6::smallint, NULL, v_now, p_mode);
            END IF;
            v_replies := v_replies || 2::smallint;
        ELSE
            v_replies := v_replies || 3::smallint;
        END IF;
    END LOOP;
    RETURN v_replies;
END $$;

-- Put ended tasks back in order: 0 missing, 1 ok, 2 invalid, 3 conflict.
CREATE FUNCTION omniq.redrive(p_ids text[], p_now bigint, p_mode integer) RETURNS smallint[] LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off
AS $$
DECLARE
    v_now bigint := omniq.now_ms(p_now);
    v_id text;
    v_old omniq.head;
    v_new omniq.head;
    v_replies smallint[] := '{}';
BEGIN
    PERFORM omniq.adopt(v_now, p_mode);
    FOREACH v_id IN ARRAY p_ids LOOP
        SELECT h.* INTO v_old FROM omniq.task AS t JOIN omniq.head AS h ON h.seq = t.seq
        WHERE t.id = v_id AND h.state + 0 >= 3 FOR UPDATE OF h;
        IF NOT FOUND THEN
            PERFORM FROM omniq.task WHERE id = v_id;
            v_replies := v_replies || CASE WHEN FOUND THEN 2 ELSE 0 END::smallint;
        ELSE
            v_new := v_old;
            v_new.state := 0;
            v_new.ready_at := v_now;
            v_new.attempts := 0;
            v_new.epoch := v_old.epoch + 1;
            v_new.finished_at := NULL;
            v_new.error := NULL;
            v_new.expires_at := NULL;
            v_new.series_id := NULL;
            v_new.nominal_at := NULL;
            BEGIN
                PERFORM omniq.save(v_old, v_new, 10::smallint, NULL, v_now, p_mode);
                v_replies := v_replies || 1::smallint;
            EXCEPTION WHEN unique_violation THEN
                v_replies := v_replies || 3::smallint; -- a live task holds its unique key
            END;
        END IF;
    END LOOP;
    RETURN v_replies;
END $$;

-- Remove ended tasks whose outbox is empty, the oldest first.
CREATE FUNCTION omniq.purge(p_states smallint[], p_before bigint, p_pinned_before bigint, p_limit bigint)
RETURNS SETOF text LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    RETURN QUERY
    WITH picked AS MATERIALIZED (
        SELECT h.seq, h.id, h.finished_at FROM omniq.head AS h
        WHERE h.finished_at IS NOT NULL AND h.finished_at < greatest(p_before, p_pinned_before)
            AND h.finished_at < CASE WHEN h.pinned THEN p_pinned_before ELSE p_before END
            AND h.state = ANY (p_states)
            AND NOT EXISTS (SELECT FROM omniq.outbox AS o WHERE o.seq = h.seq)
        ORDER BY h.finished_at, h.seq LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), heads AS (
        DELETE FROM omniq.head AS h USING picked AS p WHERE h.seq = p.seq
    ), tasks AS (
        DELETE FROM omniq.task AS t USING picked AS p WHERE t.seq = p.seq
    )
    SELECT p.id FROM picked AS p ORDER BY p.finished_at, p.seq;
END $$;

-- The numbers of one page of tasks, in order of seq; by the primary key, whatever the planner believes about the tables.
-- The condition is on h and t; $1[n] in it is one of the numbers, $2 and $3 are the lists.
CREATE FUNCTION omniq.page(
    p_condition text, p_direction text, p_limit bigint, p_numbers bigint[], p_list text[], p_other text[]
) RETURNS SETOF bigint LANGUAGE plpgsql STABLE ROWS 10
SET jit = off SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    RETURN QUERY EXECUTE
        'SELECT h.seq FROM omniq.head AS h JOIN omniq.task AS t ON t.seq = h.seq WHERE ' || p_condition
        || ' ORDER BY h.seq ' || p_direction || ' LIMIT $4'
    USING p_numbers, p_list, p_other, p_limit;
END $$;
