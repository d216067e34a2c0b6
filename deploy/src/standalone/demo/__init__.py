"""The main job on real data: task "Carrier punctuality" over the flights that left New York in 2013."""
