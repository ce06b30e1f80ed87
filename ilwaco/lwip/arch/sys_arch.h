/* SPDX-License-Identifier: MIT
 *
 * lwIP's semaphores, mutexes, mailboxes and threads as Ilwaco's; and the lock of
 * lwIP's core, which also decides when frames leave.
 */
#ifndef ILWACO_ARCH_SYS_ARCH_H
#define ILWACO_ARCH_SYS_ARCH_H

#include "ilwaco/sync.h"
#include "ilwaco/virq.h"

typedef struct {
	bool valid;
	u32 count;
	struct waitq waiters;
} sys_sem_t;

typedef struct mutex sys_mutex_t;

struct mailbox;
typedef struct mailbox *sys_mbox_t; /* NULL: not valid */

typedef struct thread *sys_thread_t;

/* "Protected" is: no upcall, so no other thread either. */
#define SYS_ARCH_DECL_PROTECT(on) bool on
#define SYS_ARCH_PROTECT(on)      ((on) = virq_disable())
#define SYS_ARCH_UNPROTECT(on)    virq_restore(on)

#define sys_mutex_lock(mutex)   mutex_lock(mutex)
#define sys_mutex_unlock(mutex) mutex_unlock(mutex)
#define sys_mutex_valid(mutex)  ((mutex) != NULL)
#define sys_mutex_set_invalid(mutex)

#define sys_sem_valid(sem)         ((sem)->valid)
#define sys_sem_set_invalid(sem)   ((sem)->valid = false)
#define sys_mbox_valid(mbox)       (*(mbox) != NULL)
#define sys_mbox_set_invalid(mbox) (*(mbox) = NULL)

/* Frames queued under the core's lock leave, together, when it's released. */
void core_lock(void);
void core_unlock(void);
#define LOCK_TCPIP_CORE()   core_lock()
#define UNLOCK_TCPIP_CORE() core_unlock()

#endif
