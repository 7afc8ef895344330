-- What a status page shows of campaigns, the newest first. ARGV: number to begin with ('0': the newest), memory stop and
-- budget as CLAIM has them.
-- Answers {next number or 0, row*}: 64 rows at most, each a campaign row with how many wait at priority 0, 1 and 2 behind it.
local workers, pressed = class_workers(), pressure(ARGV[2], ARGV[3])
local first = tonumber(ARGV[1])
if first == 0 then
    first = tonumber(call('HGET', K .. 'meta', 'campaigns') or '0')
end
local out = {0}
for no = first, math.max(first - 63, 1), -1 do
    local number = string.format('%d', no)
    if call('EXISTS', K .. 'c:' .. number) == 1 then
        local row = campaign_row(number, workers, pressed)
        for prio = 0, 2 do
            row[19 + prio] = row[6] > 0 and call('LLEN', K .. 'rq:' .. number .. ':' .. prio) or 0
        end
        out[#out + 1] = row
    end
end
if first > 64 then
    out[1] = first - 64
end
return out
