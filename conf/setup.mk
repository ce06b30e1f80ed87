# A machine that lacks something gets it before anything else is read: the rest
# of the makefile already asks the compiler and Python. 30 ms when all is there.
SETUP_GOALS  := $(filter-out help clean setup doctor,$(or $(MAKECMDGOALS),all))
MATRIX_GOALS := solutions alternatives mutants forgers
SETUP_GROUPS := $(if $(SETUP_GOALS),run)
SETUP_GROUPS += $(if $(filter gdb,$(SETUP_GOALS)),debug)
SETUP_GROUPS += $(if $(filter qemu-tap,$(SETUP_GOALS)),tap)
SETUP_GROUPS += $(if $(filter handouts,$(SETUP_GOALS)),handouts)
SETUP_GROUPS += $(if $(filter check% bench% test branches stage $(MATRIX_GOALS),$(SETUP_GOALS)),check)
SETUP_GROUPS += $(if $(filter grade replay,$(SETUP_GOALS)),grade)

ifneq ($(SETUP),no)
ifneq ($(strip $(SETUP_GROUPS)),)
ifneq ($(shell PYTHON=$(PYTHON) conf/setup $(SETUP_GROUPS) >&2 || echo failed),)
$(error this machine is not set up)
endif
endif
endif
