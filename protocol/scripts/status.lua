-- ARGV: name, or '' and the number of the first campaign to list; memory stop and budget as CLAIM has them, tenants. Answers {next
-- number or 0, row*}, 64 rows at most.
-- With names from ARGV[6] on: their rows, in that order, an empty one where there is none.
local workers, pressed = class_workers(), pressure(ARGV[3], ARGV[4])
if ARGV[1] ~= '' then
    local no = campaign_no(ARGV[1], ARGV[5])
    if not no then
        return {0}
    end
    return {0, campaign_row(no, workers, pressed)}
end
if ARGV[6] then
    local out = {0}
    for i = 6, #ARGV do
        local no = call('HGET', K .. 'camp', ARGV[i])
        out[i - 4] = no and campaign_row(no, workers, pressed) or {}
    end
    return out
end
local first = math.max(tonumber(ARGV[2]), 1)
local last = tonumber(call('HGET', K .. 'meta', 'campaigns') or '0')
local out = {0}
for no = first, math.min(last, first + 63) do
    if call('EXISTS', K .. 'c:' .. no) == 1 and is_for(no, ARGV[5]) then
        out[#out + 1] = campaign_row(string.format('%d', no), workers, pressed)
    end
end
if last > first + 63 then
    out[1] = first + 64
end
return out
