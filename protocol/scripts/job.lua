-- ARGV: id, 'show' | 'cancel' | 'retry', number of the campaign to begin with (0: the newest), tenants. Looks for an ended job in 512 campaigns at most.
-- Answers {'missing', next campaign or 0} | {state, campaign, session or '', body, record, number*} with the numbers
-- priority, retries, deadline, failures, crashes, returns, due, halted. States: ready running delayed suspect given-up done
-- failed ended (its record was taken out) cancelled.
local id, act, state = ARGV[1], ARGV[2], nil
local stored = call('HGET', K .. 'job', id)

local function numbers(due)
    local prio, retries, deadline = head(stored or '')
    local fails, crashes, _, returns = retry_row(call('HGET', K .. 'retry', id))
    return tonumber(prio or '0'), retries or 0, deadline or 0, fails, crashes, returns, due, call('HEXISTS', K .. 'halt', id)
end

local function owner()
    local sids = call('ZRANGE', K .. 'sess', 0, 999)
    for i = 1, #sids do
        if call('HEXISTS', K .. 'run:' .. sids[i], id) == 1 then
            return sids[i]
        end
    end
    return ''
end

local function unfinished()
    local _, _, _, no, _, at = head(stored)
    local session, due = owner(), tonumber(call('ZSCORE', K .. 'delay', id) or '0')
    local _, _, suspect = retry_row(call('HGET', K .. 'retry', id))
    if act == 'cancel' and due > 0 then
        call('ZREM', K .. 'delay', id)
        drop(no, id, 'delayed')
        look_at_end(no)
        state = 'cancelled'
    elseif act == 'cancel' then
        call('HSET', K .. 'halt', id, 'c')
    end
    state = state or session ~= '' and 'running' or due > 0 and 'delayed' or
        call('HEXISTS', K .. 'doom', id) == 1 and 'given-up' or suspect and 'suspect' or 'ready'
    return {state, call('HGET', K .. 'c:' .. no, 'name'), session, string.sub(stored, at), '', numbers(due)}
end

local function ended(no)
    local again = call('HGET', K .. 'again:' .. no, id) or ''
    local record = call('HGET', K .. 'res:' .. no, id .. again)
    stored = call('HGET', K .. 'dead:' .. no, id)
    if act == 'retry' and stored and requeue(no, id, stored) then
        return unfinished()
    end
    state = stored and 'failed' or record and 'done' or 'ended'
    local _, _, _, _, _, at = head(stored or '')
    return {state, call('HGET', K .. 'c:' .. no, 'name'), '', stored and string.sub(stored, at) or '', record or '', numbers(0)}
end

if stored and is_for(select(4, head(stored)), ARGV[4]) then
    return unfinished()
elseif stored then
    return {'missing', 0}
end
local last = tonumber(call('HGET', K .. 'meta', 'campaigns') or '0')
local from = tonumber(ARGV[3]) > 0 and tonumber(ARGV[3]) or last
for n = from, math.max(from - 511, 1), -1 do
    local no = string.format('%d', n)
    if call('SISMEMBER', K .. 'fin:' .. no, fin_id(id)) == 1 and is_for(no, ARGV[4]) then
        return ended(no)
    end
end
return {'missing', math.max(from - 512, 0)}
