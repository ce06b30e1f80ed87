# A thousand web servers.
vm httpd count=1000
