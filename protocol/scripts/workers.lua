-- Sessions, 512 at most: (session, info, jobs it owns, what is left of its lease in ms, 'quarantined' | 'draining' | '', what
-- it said of its work)*.
local now = now_ms()
local sids = call('ZRANGE', K .. 'sess', 0, 511, 'WITHSCORES')
local out = {}
for i = 1, #sids, 2 do
    local o = #out
    out[o + 1], out[o + 2] = sids[i], call('HGET', K .. 'sinfo', sids[i]) or ''
    out[o + 3], out[o + 4] = call('HLEN', K .. 'run:' .. sids[i]), tonumber(sids[i + 1]) - now
    out[o + 5] = call('HEXISTS', K .. 'drain', sids[i]) == 1 and 'draining' or is_ill(sids[i]) and 'quarantined' or ''
    out[o + 6] = call('HGET', K .. 'said', sids[i]) or ''
end
return out
