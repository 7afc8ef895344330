/* Which limits of control groups a process stands under, on made trees. */
#include "worker/host_memory.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/ferret-unit.XXXXXX";

static void set_up(void)
{
    cr_assert(mkdtemp(root));
}

static void tear_down(void)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", root);
    cr_assert_eq(system(command), 0);
}

TestSuite(host_memory, .init = set_up, .fini = tear_down);

/* root/path, with the folders that it lies in. */
static void put(const char *path, const char *text)
{
    char full[512];
    int n = snprintf(full, sizeof full, "%s%s", root, path);
    for (int i = (int)sizeof root; i < n; i++)
        if (full[i] == '/') {
            full[i] = '\0';
            mkdir(full, 0777);
            full[i] = '/';
        }
    FILE *f = fopen(full, "w");
    cr_assert(f, "%s", full);
    fputs(text, f);
    fclose(f);
}

#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNTS                                                                                                      \
    "31 25 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"                                                      \
    "35 25 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"

static void expect_limit(int64_t want)
{
    cr_expect_eq(host_memory(root), want, "%lld", (long long)host_memory(root));
}

Test(host_memory, the_least_limit_on_the_way_up_counts)
{
    put("/proc/self/mountinfo", "23 1 8:1 / / rw - ext4 /dev/sda1 rw\n" V2_MOUNT);
    put("/proc/self/cgroup", "0::/a.slice/b.slice/c.service\n");
    put("/sys/fs/cgroup/other.slice/memory.max", "1000\n");
    put("/sys/fs/cgroup/a.slice/b.slice/c.service/memory.max", "max\n");
    put("/sys/fs/cgroup/a.slice/b.slice/memory.max", "7000000\n");
    put("/sys/fs/cgroup/a.slice/memory.max", "9000000\n");
    expect_limit(7000000);
    put("/sys/fs/cgroup/a.slice/b.slice/c.service/memory.max", "6000000\n");
    expect_limit(6000000);
    put("/sys/fs/cgroup/a.slice/memory.max", "5000000\n");
    expect_limit(5000000);
    put("/sys/fs/cgroup/memory.max", "4000000\n");
    expect_limit(4000000);
}

Test(host_memory, groups_of_version_1_are_read_by_their_controller)
{
    put("/proc/self/mountinfo", V1_MOUNTS);
    put("/proc/self/cgroup", "9:cpu:/wrong\n4:hugetlb,memory:/a/b\n0::/\n");
    put("/sys/fs/cgroup/cpu/wrong/memory.limit_in_bytes", "1000\n");
    put("/sys/fs/cgroup/memory/wrong/memory.limit_in_bytes", "1000\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "8000000\n");
    put("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
    expect_limit(8000000);
}

Test(host_memory, what_is_mounted_in_a_container_is_its_own_group)
{
    put("/proc/self/cgroup", "4:memory:/docker/1234/inner\n");
    put("/proc/self/mountinfo", "35 25 0:32 /docker/1234 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9000000\n");
    expect_limit(9000000);
    put("/sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "3000000\n");
    expect_limit(3000000);
    put("/proc/self/cgroup", "4:memory:/docker/12345\n");
    expect_limit(9000000);
    put("/proc/self/cgroup", "0::/../elsewhere\n");
    put("/proc/self/mountinfo", V2_MOUNT);
    put("/sys/fs/cgroup/memory.max", "2000000\n");
    expect_limit(2000000);
}

Test(host_memory, without_a_limit_it_is_the_machines)
{
    const int64_t all = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    expect_limit(all);
    put("/proc/self/cgroup", "no line\n0::/a\n");
    put("/proc/self/mountinfo", "no line\n" V2_MOUNT);
    put("/sys/fs/cgroup/a/memory.max", "max\n");
    expect_limit(all);
    cr_expect(host_memory("") > 0 && host_memory("") <= all);
}
