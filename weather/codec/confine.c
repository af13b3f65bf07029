/* SPDX-License-Identifier: Apache-2.0
 *
 * What a process that reads a file nobody vouches for may not do: take memory without end, write
 * any file, start a process, use the network, send signals. Limits of memory by setrlimit; the rest
 * by a filter of system calls, because limits do not bind the superuser, for one, and none forbids
 * to remove a file. The filter names what is refused: what libraries read files with changes from
 * one to the next, what they have no business with does not.
 *
 * Where the kernel has no such filter, the limits alone remain.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "weather/codec/codec.h"

#define MORE_MEMORY ((uint64_t)3 << 30) /* bytes beyond what the parent has */

#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

static void limit(int what, uint64_t most)
{
    struct rlimit l = { .rlim_cur = (rlim_t)most, .rlim_max = (rlim_t)most };
    setrlimit(what, &l);
}

static void set_limits(void)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NPROC, 0);
#ifndef __SANITIZE_ADDRESS__ /* which reserves terabytes */
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%llu", &pages) == 1)
        limit(RLIMIT_AS, (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) + MORE_MEMORY);
    if (f)
        fclose(f);
#endif
}

#ifdef ARCHITECTURE

/* Refused whatever their arguments are. */
static const int refused[] = {
    /* processes */
    SYS_clone,
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_kill,
    SYS_tkill,
    SYS_unshare,
    SYS_setns,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_setrlimit,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    /* the network */
    SYS_socket,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_sendmsg,
    SYS_sendmmsg,
    /* files */
    SYS_write,
    SYS_writev,
    SYS_pwrite64,
    SYS_pwritev,
    SYS_pwritev2,
    SYS_sendfile,
    SYS_splice,
    SYS_tee,
    SYS_vmsplice,
    SYS_copy_file_range,
    SYS_truncate,
    SYS_ftruncate,
    SYS_fallocate,
    SYS_unlinkat,
    SYS_renameat2,
    SYS_mkdirat,
    SYS_mknodat,
    SYS_linkat,
    SYS_symlinkat,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fchown,
    SYS_fchownat,
    SYS_utimensat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_io_setup,
    /* the machine */
    SYS_bpf,
    SYS_perf_event_open,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_add_key,
    SYS_keyctl,
    SYS_request_key,
    SYS_userfaultfd,
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef SYS_fork /* of x86-64 alone */
    SYS_fork,
    SYS_vfork,
    SYS_creat,
    SYS_unlink,
    SYS_rmdir,
    SYS_rename,
    SYS_mkdir,
    SYS_mknod,
    SYS_link,
    SYS_symlink,
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
#endif
};

/* Newer than the headers of some systems; ENOSYS, so that the C library falls back. */
static const int absent[] = {
    425, /* io_uring_setup */
    435, /* clone3 */
    437, /* openat2 */
    424, /* pidfd_send_signal */
};

#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name))
#define ARGUMENT(i)                                                                                \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS,                                                             \
             offsetof(struct seccomp_data, args) + (i) * sizeof(uint64_t)) /* low half */
#define HIGH_HALF(i)                                                                               \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS,                                                             \
             offsetof(struct seccomp_data, args) + (i) * sizeof(uint64_t) + 4)
#define REFUSE(code) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (code))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define UNLESS_EQUAL(k, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), 0, (skip))
#define WRITING (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

static void filter_calls(void)
{
    struct sock_filter code[3 * (GEN_LEN(refused) + GEN_LEN(absent)) + 40];
    int n = 0;
    const struct sock_filter start[] = {
        FIELD(arch),
        UNLESS_EQUAL(ARCHITECTURE, 1),
        BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        FIELD(nr),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1), /* x32: the same calls again */
        REFUSE(EPERM),
    };
    for (int i = 0; i < GEN_LEN(start); i++)
        code[n++] = start[i];
    for (int i = 0; i < GEN_LEN(refused) + GEN_LEN(absent); i++) {
        bool old = i < GEN_LEN(refused);
        uint32_t call = (uint32_t)(old ? refused[i] : absent[i - GEN_LEN(refused)]);
        code[n++] = (struct sock_filter)UNLESS_EQUAL(call, 1);
        code[n++] = (struct sock_filter)REFUSE(old ? EPERM : ENOSYS);
    }
    const struct sock_filter some[] = {
        /* to open for reading only */
        UNLESS_EQUAL(SYS_openat, 4),
        ARGUMENT(2),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, WRITING, 0, 1),
        REFUSE(EPERM),
        ALLOW,
#ifdef SYS_open
        UNLESS_EQUAL(SYS_open, 4),
        ARGUMENT(1),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, WRITING, 0, 1),
        REFUSE(EPERM),
        ALLOW,
#endif
        /* signals to itself only: abort() */
        UNLESS_EQUAL(SYS_tgkill, 4),
        ARGUMENT(0),
        UNLESS_EQUAL((uint32_t)getpid(), 1),
        ALLOW,
        REFUSE(EPERM),
        /* to ask for limits, not to set any: the pointer to the new ones is NULL */
        UNLESS_EQUAL(SYS_prlimit64, 6),
        ARGUMENT(2),
        UNLESS_EQUAL(0, 3),
        HIGH_HALF(2),
        UNLESS_EQUAL(0, 1),
        ALLOW,
        REFUSE(EPERM),
        ALLOW,
    };
    for (int i = 0; i < GEN_LEN(some); i++)
        code[n++] = some[i];
    struct sock_fprog program = { .len = (unsigned short)n, .filter = code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

#else
static void filter_calls(void)
{
}
#endif

void gen_radar_confine(void)
{
    set_limits();
    filter_calls();
}
