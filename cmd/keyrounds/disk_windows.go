package main

import "golang.org/x/sys/windows"

// diskFree is how many bytes this user may still write where dir is.
func diskFree(dir string) (free uint64, err error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err == nil {
		err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	}
	return free, err
}
