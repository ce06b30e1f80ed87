# Which compiler and binutils. A cross toolchain wins if there is one (macOS,
# ARM hosts); otherwise the host's own tools with -m32.
CROSS ?= $(firstword $(foreach p,i686-elf- i686-linux-gnu-,$(if $(shell command -v $(p)gcc 2>/dev/null),$(p))))
ifeq ($(origin CC),default)
CC := $(CROSS)gcc
endif
LD        := $(CROSS)ld
AR        := $(CROSS)ar
NM        := $(CROSS)nm
OBJCOPY   := $(CROSS)objcopy
OBJDUMP   := $(CROSS)objdump
ADDR2LINE := $(CROSS)addr2line

# lwIP's source, unmodified (conf/lwip.py). One copy for all build folders.
LWIP_DIR := build/lwip
