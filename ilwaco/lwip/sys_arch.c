/* SPDX-License-Identifier: MIT
 *
 * The operating system that lwIP asks for: semaphores, mailboxes, threads, time.
 */
#include "ilwaco/ilwaco.h"
#include "ilwaco/netif.h"

#include "lwip/err.h"
#include "lwip/sys.h"
#include "lwip/tcpip.h"

#define NS_PER_MS 1000000u

/* A ring of messages. One slot is kept for interrupt handlers: at most one
 * message of theirs is ever under way (ilwaco/lwip/network.c), so that posting it
 * never fails. */
struct mailbox {
	struct waitq readers, writers;
	u32 size, used, first; /* size: slots, the handlers' included */
	void *slot[];
};

/* lwIP's timeouts: ms, 0 is for ever. */
static u64
deadline_of(u32_t timeout)
{
	return timeout ? clock_now() + (u64)timeout * NS_PER_MS : FOREVER;
}

/* --- time ----------------------------------------------------------------------- */

void
sys_init(void)
{
}

u32_t
sys_now(void)
{
	return (u32_t)(clock_now() / NS_PER_MS);
}

void
sys_msleep(u32_t ms)
{
	thread_sleep((u64)ms * NS_PER_MS);
}

/* --- semaphores and mutexes ------------------------------------------------------- */

err_t
sys_sem_new(sys_sem_t *sem, u8_t count)
{
	*sem = (sys_sem_t){.valid = true, .count = count};
	return ERR_OK;
}

void
sys_sem_free(sys_sem_t *sem)
{
	sem->valid = false;
}

void
sys_sem_signal(sys_sem_t *sem)
{
	bool on = virq_disable();

	if (!thread_wake_first(&sem->waiters)) /* the count goes to whom it wakes */
		sem->count++;
	virq_restore(on);
}

u32_t
sys_arch_sem_wait(sys_sem_t *sem, u32_t timeout)
{
	bool on = virq_disable();
	bool got = true;

	if (sem->count > 0)
		sem->count--;
	else
		got = thread_block(&sem->waiters, deadline_of(timeout));
	virq_restore(on);
	return got ? 0 : SYS_ARCH_TIMEOUT;
}

err_t
sys_mutex_new(sys_mutex_t *mutex)
{
	*mutex = (struct mutex){0};
	return ERR_OK;
}

void
sys_mutex_free(sys_mutex_t *mutex)
{
	(void)mutex;
}

/* --- mailboxes ---------------------------------------------------------------------- */

err_t
sys_mbox_new(sys_mbox_t *mbox, int size)
{
	u32 slots = (u32)size + 1;

	*mbox = calloc(1, sizeof **mbox + slots * sizeof(void *));
	if (!*mbox)
		return ERR_MEM;
	(*mbox)->size = slots;
	return ERR_OK;
}

void
sys_mbox_free(sys_mbox_t *mbox)
{
	free(*mbox);
}

/* Upcalls off; there is room. */
static void
mailbox_put(struct mailbox *box, void *message)
{
	box->slot[(box->first + box->used++) % box->size] = message;
	thread_wake_first(&box->readers);
}

void
sys_mbox_post(sys_mbox_t *mbox, void *message)
{
	struct mailbox *box = *mbox;
	bool on = virq_disable();

	while (box->used >= box->size - 1)
		thread_block(&box->writers, FOREVER);
	mailbox_put(box, message);
	virq_restore(on);
}

err_t
sys_mbox_trypost(sys_mbox_t *mbox, void *message)
{
	struct mailbox *box = *mbox;
	bool on = virq_disable();
	bool room = box->used < box->size - 1;

	if (room)
		mailbox_put(box, message);
	virq_restore(on);
	return room ? ERR_OK : ERR_MEM;
}

err_t
sys_mbox_trypost_fromisr(sys_mbox_t *mbox, void *message)
{
	if ((*mbox)->used >= (*mbox)->size)
		return ERR_MEM;
	mailbox_put(*mbox, message);
	return ERR_OK;
}

/* Upcalls off; there is a message. */
static void *
mailbox_take(struct mailbox *box)
{
	void *message = box->slot[box->first];

	box->first = (box->first + 1) % box->size;
	box->used--;
	thread_wake_first(&box->writers);
	return message;
}

u32_t
sys_arch_mbox_fetch(sys_mbox_t *mbox, void **message, u32_t timeout)
{
	struct mailbox *box = *mbox;
	u64 deadline = deadline_of(timeout);
	bool on = virq_disable();
	u32_t result = SYS_ARCH_TIMEOUT;
	bool woken = true;
	void *taken;

	while (box->used == 0 && woken)
		woken = thread_block(&box->readers, deadline);
	if (box->used > 0) {
		taken = mailbox_take(box);
		if (message)
			*message = taken;
		result = 0;
	}
	virq_restore(on);
	return result;
}

u32_t
sys_arch_mbox_tryfetch(sys_mbox_t *mbox, void **message)
{
	struct mailbox *box = *mbox;
	bool on = virq_disable();
	u32_t result = SYS_MBOX_EMPTY;
	void *taken;

	if (box->used > 0) {
		taken = mailbox_take(box);
		if (message)
			*message = taken;
		result = 0;
	}
	virq_restore(on);
	return result;
}

/* --- threads ---------------------------------------------------------------------------- */

struct start {
	lwip_thread_fn function;
	void *arg;
};

static int
run(void *arg)
{
	struct start start = *(struct start *)arg;

	free(arg);
	start.function(start.arg);
	return 0;
}

/* `priority` above 0, which lwIP's own thread has: urgent. */
sys_thread_t
sys_thread_new(const char *name, lwip_thread_fn function, void *arg, int stack, int priority)
{
	struct start *start = malloc(sizeof *start);
	struct thread *thread = NULL;

	if (start) {
		*start = (struct start){function, arg};
		thread = priority > 0 ? thread_create_urgent(name, run, start, (u32)stack)
				      : thread_create(name, run, start, (u32)stack);
	}
	if (!thread)
		die("no memory for thread %s", name);
	thread_detach(thread);
	return thread;
}

void
core_lock(void)
{
	mutex_lock(&lock_tcpip_core);
}

void
core_unlock(void)
{
	port_flush();
	mutex_unlock(&lock_tcpip_core);
}
