// Stands for a folder of commands.
