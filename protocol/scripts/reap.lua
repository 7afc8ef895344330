-- ARGV: lease ms, beat ms, crashes that make a poison. Takes back what one lapsed session owns (CLAIM keeps it to 512).
-- After an outage, of Redis or of all brokers, nobody could beat: a gap of more than two beats since the shard's last
-- tick gives every session a whole lease from now.
-- Answers {jobs taken back, lapsed sessions left}.
local lease, beat, poison = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = now_ms()
local last = tonumber(call('GET', K .. 'tick') or '0')
call('SET', K .. 'tick', string.format('%.0f', now))
if now - last > 2 * beat then
    call('SET', K .. 'grace', string.format('%.0f', now + lease))
    return {0, 0}
elseif now < tonumber(call('GET', K .. 'grace') or '0') then
    return {0, 0}
end
local sid = call('ZRANGEBYSCORE', K .. 'sess', '-inf', now, 'LIMIT', 0, 1)[1]
if not sid then
    return {0, 0}
end
local rows = call('HGETALL', K .. 'run:' .. sid)
local class = session_class(sid)
local alone = call('HEXISTS', K .. 'alone', sid) == 1
local begun = {}
for i = 1, #rows, 2 do
    local id = rows[i]
    local fails, crashes, started, no, prio = run_row(rows[i + 1])
    local _, _, _, returns = retry_row(call('HGET', K .. 'retry', id))
    returns = (started or alone) and BEGUN or math.min(returns + 1, BEGUN)
    call('HSET', K .. 'retry', id, fails .. '|' .. crashes .. '|' .. returns .. '|')
    if returns >= BEGUN then
        begun[#begun + 1] = id
    else
        give_back(id, no, prio, false)
    end
    move(no, 'running', 'ready', 1)
end
-- What remains is suspected. Several: halves, until the one that kills is by itself.
if #begun > 1 then
    local half = math.floor(#begun / 2)
    suspect_add(class, begun, 1, half)
    suspect_add(class, begun, half + 1, #begun)
elseif #begun == 1 then
    local id = begun[1]
    local fails, crashes = retry_row(call('HGET', K .. 'retry', id))
    crashes = crashes + (alone and 1 or 0)
    call('HSET', K .. 'retry', id, fails .. '|' .. crashes .. '|' .. BEGUN .. '|')
    if crashes >= poison then
        local _, _, _, no = head(call('HGET', K .. 'job', id))
        call('HSET', K .. 'doom', id, 'poison')
        move(no, 'ready', 'delayed', 1)
    else
        suspect_add(class, begun, 1, 1)
    end
end
forget_session(sid)
return {#rows / 2, call('ZCOUNT', K .. 'sess', '-inf', now)}
