# A web site from a disk:
#
#     make site DIR=FOLDER
#     make qemu DISK=build/site.img BOOT=conf/site.boot
#
# The virtual disk `site` is read-only: any number of VMs may serve it.
vm httpd count=16 disk=site
