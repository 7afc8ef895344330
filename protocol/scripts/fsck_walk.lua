-- ARGV: what, key behind the shard's tag, cursor, how many at most, about. A bounded step through one key, or through all
-- keys of the shard (what = 'keys').
-- Answers {next cursor ('0' at the end), element*}: names of keys; ids of a list, hash or set of scores; 'job' has (id,
-- campaign number)*, 'run' (id, row)*, 'hash' (field, value)*.
local what, key, cursor, most = ARGV[1], K .. ARGV[2], ARGV[3], tonumber(ARGV[4])
local out = {}
if what == 'keys' then
    local page = call('SCAN', cursor, 'MATCH', K .. '*', 'COUNT', most)
    out[1] = page[1]
    for _, name in ipairs(page[2]) do
        out[#out + 1] = string.sub(name, #K + 1)
    end
elseif what == 'list' then
    local rows = call('LRANGE', key, cursor, cursor + most - 1)
    out[1] = #rows < most and '0' or string.format('%d', cursor + most)
    for i = 1, #rows do
        for at = 1, #rows[i], 16 do -- a group of suspects is several ids
            out[#out + 1] = string.sub(rows[i], at, at + 15)
        end
    end
else
    local page = what == 'scores' and call('ZSCAN', key, cursor, 'COUNT', most) or call('HSCAN', key, cursor, 'COUNT', most)
    out[1] = page[1]
    for i = 1, #page[2], 2 do
        out[#out + 1] = page[2][i]
        if what == 'job' then
            local _, _, _, no = head(page[2][i + 1])
            out[#out + 1] = no
        elseif what ~= 'scores' then
            out[#out + 1] = page[2][i + 1]
        end
    end
end
return out
