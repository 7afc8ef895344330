-- ARGV: tombstone ("uri URI" or "sha256 HEX"), how it stands in a job's body ('' = not at all), how it stands in a record,
-- place ('' first), how many at most, about. A bounded step: the index of what was answered, jobs, then each campaign's records and failed jobs.
-- Answers {next place or '' at the end, how many jobs and records it met}.
local in_body, in_record = ARGV[2], ARGV[3]
local phase, no, cursor = string.match(ARGV[4], '^(%a+) (%d+) (%d+)$')
local met = 0

local function has(text, what)
    return what ~= '' and string.find(text, what, 1, true) ~= nil
end

local function forget_jobs(page)
    for i = 1, #page, 2 do
        if has(page[i + 1], in_body) then
            local _, _, _, its = head(page[i + 1])
            met = met + 1
            if call('ZREM', K .. 'delay', page[i]) == 1 then
                drop(its, page[i], 'delayed')
            else
                call('HSET', K .. 'halt', page[i], 'f')
            end
        end
    end
end

local function forget_body(id)
    call('HINCRBY', K .. 'c:' .. no, 'unkept', call('HDEL', K .. 'dead:' .. no, id))
end

local function forget_records(page)
    for i = 1, #page, 2 do
        if has(page[i + 1], in_record) then
            met = met + 1
            hold(no, -#page[i + 1])
            call('HDEL', K .. 'res:' .. no, page[i])
            forget_body(string.sub(page[i], 1, 16))
        end
    end
end

local function forget_twins(page)
    for i = 1, #page, 2 do
        if has(page[i + 1], in_record) then
            call('HDEL', K .. 'twin', page[i])
        end
    end
end

local function forget_dead(page)
    for i = 1, #page, 2 do
        if has(page[i + 1], in_body) then
            forget_body(page[i])
        end
    end
end

if not phase then
    call('ZADD', K .. 'forgot', 'NX', string.format('%.0f', now_ms()), ARGV[1])
    call('DEL', K .. 'errs') -- whose they are is not known any more
    phase, no, cursor = 'twins', '0', '0'
end
local key = phase == 'twins' and 'twin' or phase == 'jobs' and 'job' or phase == 'records' and 'res:' .. no or 'dead:' .. no
local page = call('HSCAN', K .. key, cursor, 'COUNT', ARGV[5])
local act = {twins = forget_twins, jobs = forget_jobs, records = forget_records, dead = forget_dead}
act[phase](page[2])
if page[1] ~= '0' then
    return {phase .. ' ' .. no .. ' ' .. page[1], met}
elseif phase == 'twins' then
    return {'jobs 0 0', met}
elseif phase == 'records' then
    return {'dead ' .. no .. ' 0', met}
end
local following = tonumber(no) + 1
if following > tonumber(call('HGET', K .. 'meta', 'campaigns') or '0') then
    return {'', met}
end
return {'records ' .. string.format('%d', following) .. ' 0', met}
