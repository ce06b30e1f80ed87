# What `make qemu` boots: 16 web servers, each in a VM of its own.
vm httpd count=16
