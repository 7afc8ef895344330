-- ARGV: how many results the index keeps at most, how many are told, (key, value)* of these, then keys that are asked for.
-- The index of what was answered already, on the first shard: a key stands for tenant, class, bytes and questions; a value
-- is id, SHA-256 of the image in hex, "bytes of its URI|", its URI, its record. What was forgotten is not taken in, nor is
-- anything from half of maxmemory on; the oldest leave.
-- Answers {(key, value)*} of those that are there.
local STOPS_AT, LEAVE_MOST = 50, 256
local most, told = tonumber(ARGV[1]), tonumber(ARGV[2])

local function is_wanted(value)
    local n, at = string.match(value, '^(%d+)|()', 81)
    return n and not call('ZSCORE', K .. 'forgot', 'sha256 ' .. string.sub(value, 17, 80)) and
        not call('ZSCORE', K .. 'forgot', 'uri ' .. string.sub(value, at, at + n - 1))
end

if told > 0 and memory_level() < STOPS_AT then
    for i = 3, 2 * told + 2, 2 do
        if is_wanted(ARGV[i + 1]) and call('HSETNX', K .. 'twin', ARGV[i], ARGV[i + 1]) == 1 then
            call('RPUSH', K .. 'twins', ARGV[i])
        end
    end
    local surplus = call('LLEN', K .. 'twins') - most
    if surplus > 0 then
        call('HDEL', K .. 'twin', unpack(call('LPOP', K .. 'twins', math.min(surplus, LEAVE_MOST))))
    end
end
local out = {}
for i = 2 * told + 3, #ARGV do
    local value = call('HGET', K .. 'twin', ARGV[i])
    if value then
        out[#out + 1], out[#out + 2] = ARGV[i], value
    end
end
if #out > 0 then
    call('HINCRBY', K .. 'use', 'twins found', #out / 2)
end
return out
