#!/bin/sh
#: read_only: yes
echo
