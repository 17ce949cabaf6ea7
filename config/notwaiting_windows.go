package config

const notWaiting = 0
