# Several services side by side. `vms` lists them, `console 5` shows one's console.
vm httpd count=4
vm kvd
vm echo count=2
vm sink
vm spin
