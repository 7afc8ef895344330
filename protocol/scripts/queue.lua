-- The shard in numbers: (name, number)*.
local level, limit = memory_level()
local out = {
    'memory percent', level, 'memory limit', limit, 'bytes of records', tonumber(call('HGET', K .. 'use', 'held') or '0'),
    'unfinished jobs', call('HLEN', K .. 'job'), 'delayed', call('ZCARD', K .. 'delay'), 'given up', call('HLEN', K .. 'doom'),
    'cancelled one by one', call('HLEN', K .. 'halt'), 'sessions', call('ZCARD', K .. 'sess'),
    'sessions in quarantine', call('HLEN', K .. 'ill'), 'campaigns swept', call('SCARD', K .. 'stopping'),
    'results kept for twins', call('HLEN', K .. 'twin'), 'twins found', tonumber(call('HGET', K .. 'use', 'twins found') or '0'),
    'drained', call('HEXISTS', K .. 'meta', 'drain'),
}
for class in pairs(class_workers()) do
    local n = call('LLEN', K .. 'sus:' .. class)
    if n > 0 then
        out[#out + 1], out[#out + 2] = 'groups of suspects of ' .. class, n
    end
end
return out
