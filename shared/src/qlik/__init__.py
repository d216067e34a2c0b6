"""qlik"""
