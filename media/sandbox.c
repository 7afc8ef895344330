#include "media/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_DESCRIPTORS = 64, X32_BIT = 0x40000000 };

/* Calls that no decoder needs. They fail with EPERM, so that a library that merely tries goes on. */
static const int refused[] = {
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_execve,
    SYS_execveat,
    SYS_fork,
    SYS_vfork,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_kill,
    SYS_tkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
    SYS_pidfd_getfd,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_userfaultfd,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_creat,
    SYS_mknod,
    SYS_mknodat,
    SYS_unlink,
    SYS_unlinkat,
    SYS_rename,
    SYS_renameat,
    SYS_renameat2,
    SYS_link,
    SYS_linkat,
    SYS_symlink,
    SYS_symlinkat,
    SYS_mkdir,
    SYS_mkdirat,
    SYS_rmdir,
    SYS_truncate,
    SYS_chmod,
    SYS_fchmodat,
    SYS_chown,
    SYS_lchown,
    SYS_fchownat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_utimensat,
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setresuid,
    SYS_setgroups,
    SYS_capset,
};
/* Answered as unknown: the C library then takes the older call, whose flags can be looked at. */
static const int unknown[] = {SYS_clone3, SYS_openat2};

enum { MAX_STEPS = 2 * (sizeof refused / sizeof *refused + sizeof unknown / sizeof *unknown) + 64 };

struct program {
    struct sock_filter steps[MAX_STEPS];
    unsigned short n;
};

static void put(struct program *p, struct sock_filter step)
{
    if (p->n < MAX_STEPS)
        p->steps[p->n++] = step;
}

static void load(struct program *p, size_t offset)
{
    put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

static void give(struct program *p, uint32_t answer)
{
    put(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer));
}

static void answer_call(struct program *p, int call, uint32_t answer)
{
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1));
    give(p, answer);
}

/* `call` passes only where argument `index` compares as `test` with `value` (low half). */
static void allow_call_if(struct program *p, int call, int index, uint16_t test, uint32_t value)
{
    size_t at = offsetof(struct seccomp_data, args) + (size_t)index * sizeof(uint64_t);
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4));
    load(p, at);
    put(p, (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | test | BPF_K), value, 1, 0));
    give(p, SECCOMP_RET_ERRNO | EPERM);
    give(p, SECCOMP_RET_ALLOW);
}

/* `call` is refused where any bit of `mask` is set in argument `index`. */
static void refuse_call_with(struct program *p, int call, int index, uint32_t mask)
{
    size_t at = offsetof(struct seccomp_data, args) + (size_t)index * sizeof(uint64_t);
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 4));
    load(p, at);
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, mask, 0, 1));
    give(p, SECCOMP_RET_ERRNO | EPERM);
    give(p, SECCOMP_RET_ALLOW);
}

static int enter_seccomp(void)
{
    struct program p = {.n = 0};
    load(&p, offsetof(struct seccomp_data, arch));
    put(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
    give(&p, SECCOMP_RET_KILL_PROCESS);
    load(&p, offsetof(struct seccomp_data, nr));
    put(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1));
    give(&p, SECCOMP_RET_ERRNO | EPERM);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        answer_call(&p, refused[i], SECCOMP_RET_ERRNO | EPERM);
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        answer_call(&p, unknown[i], SECCOMP_RET_ERRNO | ENOSYS);
    const uint32_t writing = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
    refuse_call_with(&p, SYS_open, 1, writing);
    refuse_call_with(&p, SYS_openat, 2, writing);
    allow_call_if(&p, SYS_clone, 0, BPF_JSET, CLONE_THREAD);
    allow_call_if(&p, SYS_tgkill, 0, BPF_JEQ, (uint32_t)getpid()); /* abort() */
    allow_call_if(&p, SYS_prlimit64, 0, BPF_JEQ, 0);
    give(&p, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {.len = p.n, .filter = p.steps};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0 ? 0 : -1;
}

static void allow_reading_beneath(int rules, const char *folder)
{
    struct landlock_path_beneath_attr rule = {
        .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE};
    rule.parent_fd = open(folder, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0)
        return;
    syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(rule.parent_fd);
}

/* Files may be read only where shared libraries and codecs lie. */
static int enter_landlock(void)
{
    struct landlock_ruleset_attr all = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (rules < 0)
        return -1;
    allow_reading_beneath(rules, "/usr/lib");
    allow_reading_beneath(rules, "/usr/local/lib");
    allow_reading_beneath(rules, "/lib");
    allow_reading_beneath(rules, "/lib64");
    int failed = (int)syscall(SYS_landlock_restrict_self, rules, 0);
    close(rules);
    return failed ? -1 : 0;
}

static int64_t address_space_now(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f) {
        if (fscanf(f, "%ld", &pages) != 1)
            pages = 0;
        fclose(f);
    }
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static int limit(int resource, rlim_t value)
{
    struct rlimit l = {value, value};
    return setrlimit((__rlimit_resource_t)resource, &l);
}

unsigned sandbox_offered(void)
{
    unsigned parts = 0;
    uint32_t action = SECCOMP_RET_ERRNO;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
        parts |= SANDBOX_SECCOMP;
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0)
        parts |= SANDBOX_LANDLOCK;
    return parts;
}

enum status sandbox_enter(int64_t memory_bytes, unsigned *parts)
{
    int64_t now = address_space_now();
    if (limit(RLIMIT_CORE, 0) != 0 || limit(RLIMIT_NOFILE, MAX_DESCRIPTORS) != 0 ||
        limit(RLIMIT_AS, (rlim_t)(now + memory_bytes)) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return ST_IO;
    *parts = 0;
    if (enter_landlock() == 0)
        *parts |= SANDBOX_LANDLOCK;
    if (enter_seccomp() == 0)
        *parts |= SANDBOX_SECCOMP;
    return ST_OK;
}
